import { TokenMissingError } from '../../core/errors/token-errors.js';
import { withoutStack } from '../../core/errors/without-stack.js';
import type { Eventually } from '../../core/lib/deadline.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { type AdmittedCaller, AnonymousCaller, TokenCaller } from '../../core/token/caller.js';
import { headerLines, isWithoutCredentials } from '../../core/token/credentials.js';
import type { HttpExchange } from '../http/exchange.js';
import {
  type FoundCaller,
  type FrameworkRequest,
  headersOf,
  inboundRequest,
  rawHeaders,
  type RequestState,
} from '../http/request.js';
import type { Inspection } from '../mcp/message-inspection.js';
import type { OtherCredentialsCheck } from './other-credentials.js';

/** Why there is no caller, where nothing was thrown for it: to throw costs more than the rest of a refusal. */
export class Refused {
  constructor(readonly error: TokenMissingError) {}
}

/** What it takes to find out who asks. */
export interface Asked {
  readonly exchange: HttpExchange;
  readonly state: RequestState;
  readonly protectedBy: {
    readonly resource: AuthplaneResource;
    readonly otherCredentials?: OtherCredentialsCheck | undefined;
  };
  readonly inspection: Pick<Inspection, 'isMcp' | 'admitsAnybody'> | undefined;
}

const NOBODY: readonly FoundCaller[] = [];

/**
 * Who asks: the same for all guards on its way, and so is the refusal.
 *
 * @throws AuthplaneError
 */
export function callerOnce(decision: Asked): Eventually<AdmittedCaller> | Refused {
  const { state, protectedBy } = decision;
  const { resource } = protectedBy;
  const known = state.callers?.find((one) => one.resource === resource);
  if (known === undefined) return found(resource, decision);
  if (known.caller === undefined) throw known.refusal;
  return known.caller;
}

function found(resource: AuthplaneResource, decision: Asked): Eventually<AdmittedCaller> | Refused {
  const { state } = decision;
  try {
    const caller = callerOf(decision);
    if (caller instanceof Refused) {
      const { error: refusal } = caller;
      state.callers = [...(state.callers ?? NOBODY), { resource, caller: undefined, refusal }];
      return caller;
    }
    state.callers = [...(state.callers ?? NOBODY), { resource, caller }];
    return caller;
  } catch (refusal) {
    state.callers = [...(state.callers ?? NOBODY), { resource, caller: undefined, refusal }];
    throw refusal;
  }
}

function callerOf(decision: Asked): Eventually<AdmittedCaller> | Refused {
  const { otherCredentials } = decision.protectedBy;
  if (otherCredentials !== undefined) return callerByEither(otherCredentials, decision);
  return bringsNothing(decision) ? new Refused(missingToken()) : callerByToken(decision);
}

function bringsNothing({ exchange: { request }, inspection }: Asked): boolean {
  return inspection?.admitsAnybody !== true && isWithoutAuthorization(request);
}

/** What Node has read is a hint, which middleware may have changed; what counts are the lines. */
export function isWithoutAuthorization(request: FrameworkRequest): boolean {
  if (rawHeaders(request).authorization !== undefined) return false;
  return headerLines(headersOf(request), 'authorization').length === 0;
}

export function missingToken(): TokenMissingError {
  return withoutStack(() => new TokenMissingError());
}

async function callerByEither(
  otherCredentials: OtherCredentialsCheck,
  decision: Asked,
): Promise<AdmittedCaller> {
  const { exchange, inspection } = decision;
  const other = await otherCredentials.callerOf(exchange, inspection?.isMcp === true);
  return other ?? callerByToken(decision);
}

function callerByToken({ exchange, protectedBy, inspection }: Asked): Eventually<AdmittedCaller> {
  const { resource } = protectedBy;
  const inbound = inboundRequest(exchange.request);
  if (inspection?.admitsAnybody === true && isWithoutCredentials(inbound.headers)) {
    return new AnonymousCaller(resource.resource);
  }
  const shown = resource.authenticateNow(inbound);
  return shown instanceof Promise
    ? shown.then((known) => new TokenCaller(known, resource))
    : new TokenCaller(shown, resource);
}
