import type { AccessTokens } from '../records/access-tokens.js';
import type { Client } from '../records/clients.js';
import type { Consents } from '../records/consents.js';
import type { Fronting } from '../endpoints/fronting.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import type { Resource, Resources } from '../records/resources.js';
import type { Revocations } from '../records/revocations.js';
import { refuseBeyond } from '../records/scopes.js';
import type { TokenRequest } from '../endpoints/token-endpoint.js';
import type { Upstream } from '../endpoints/upstream.js';
import type { Subject } from './subject-token.js';

export interface TokenExchangeOptions {
  readonly issuer: string;
  readonly tokens: AccessTokens;
  readonly resources: Resources;
  readonly revocations: Revocations;
  readonly fronting: Fronting;
  readonly consents: Consents;
  readonly upstream: Upstream;
  readonly allowSelfExchange: boolean;
  readonly ttlSeconds: number;
}

/** A request whose subject token is good. */
export interface Exchange extends TokenRequest {
  readonly subject: Subject;
  readonly requested: readonly string[];
}

/** @throws OAuthProblem `access_denied` when the target has a list and the client is not on it. */
export function refuseUnlisted({ exchangeClients = [] }: Resource, { clientId }: Client): void {
  if (exchangeClients.length > 0 && !exchangeClients.includes(clientId)) {
    throw new OAuthProblem('access_denied');
  }
}

/** @throws OAuthProblem `invalid_scope`; a subject token without scopes sets no bound. */
export function refuseBeyondSubject({ requested, subject }: Exchange): void {
  if (subject.scope.length > 0) refuseBeyond(requested, [subject.scope]);
}
