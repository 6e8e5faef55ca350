import { isIP } from 'node:net';
import type { IncomingRequest, OtherCredentials } from '../../core/caller-settings.js';
import { OriginRefusedError } from '../../core/errors/request-errors.js';
import {
  CredentialRefusedError,
  MalformedCredentialsError,
} from '../../core/errors/token-errors.js';
import { quoted } from '../../core/lib/text.js';
import type { AuthplaneResource } from '../../core/resource.js';
import type { AdmittedCaller } from '../../core/token/caller.js';
import { headerLines, presentedScheme } from '../../core/token/credentials.js';
import { checkedOtherCaller } from '../../core/token/other-caller.js';
import { type HttpExchange, nodeRequest } from '../http/exchange.js';
import { inboundRequest } from '../http/request.js';
import type { AllowedOrigins } from '../mcp/allowed-origins.js';
import { askApplication } from './callback.js';
import { placeOf } from './caller-place.js';

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Of browsers: typed, bookmarked, or sent by a page of the same origin. */
const OWN_SITES: ReadonlySet<unknown> = new Set(['same-origin', 'none']);

/** Callers by credentials of the application's own, for one resource. */
export class OtherCredentialsCheck {
  readonly #ask: OtherCredentials;
  readonly #resource: AuthplaneResource;
  readonly #origins: AllowedOrigins;

  constructor(ask: OtherCredentials, resource: AuthplaneResource, origins: AllowedOrigins) {
    this.#ask = ask;
    this.#resource = resource;
    this.#origins = origins;
  }

  /**
   * `undefined`: an access token decides.
   *
   * @param isMcp whether the request certainly is for an MCP server.
   * @throws MalformedCredentialsError, CredentialRefusedError, OriginRefusedError, CallbackError
   */
  async callerOf(exchange: HttpExchange, isMcp: boolean): Promise<AdmittedCaller | undefined> {
    const { headers } = inboundRequest(exchange.request);
    if (headerLines(headers, 'authorization').length > 1) {
      throw new MalformedCredentialsError('the request has more than one Authorization header');
    }
    const given = await askApplication(
      'otherCredentials',
      () => this.#ask(incomingRequest(exchange), placeOf(this.#resource)),
      (error) => error instanceof CredentialRefusedError,
    );
    if (given === undefined) return undefined;
    const shown = checkedOtherCaller(given);
    if (shown.from !== 'authorization' && presentedScheme(headers) !== undefined) {
      if (shown.from === 'ambient') return undefined;
      throw new MalformedCredentialsError(
        `the request carries an access token and another credential (${shown.method})`,
      );
    }
    if (shown.from === 'ambient' && (isMcp || !isHarmless(exchange)))
      this.#requireOwnPage(exchange);
    const caller = this.#resource.callerWith(shown);
    if (caller.secondsLeft() > 0) return caller;
    throw new CredentialRefusedError(`the credential of the request (${shown.method}) has ended`);
  }

  /**
   * Browsers send cookies along whoever has made the page. Other programs, which say nothing of a page,
   * have no reason to send any.
   */
  #requireOwnPage(exchange: HttpExchange): void {
    const { origin, 'sec-fetch-site': site } = nodeRequest(exchange).headers;
    if (OWN_SITES.has(site)) return;
    if (origin !== undefined && this.#origins.allowsCookies(origin)) return;
    throw new OriginRefusedError(
      `a cookie in a request of ${origin === undefined ? 'nobody knows which page' : quoted(origin)}: pages ` +
        `have to be of the resource's own origin, or in mcp.allowedOrigins`,
    );
  }
}

/** It changes nothing, and opens no event stream that goes on with the caller's data. */
function isHarmless(exchange: HttpExchange): boolean {
  const { method, headers } = nodeRequest(exchange);
  return SAFE.has(method) && headers.accept?.includes('text/event-stream') !== true;
}

function incomingRequest(exchange: HttpExchange): IncomingRequest {
  const { method, url } = inboundRequest(exchange.request);
  const { headers, socket } = nodeRequest(exchange);
  const { ip } = exchange.request as { readonly ip?: unknown };
  const address = typeof ip === 'string' && isIP(ip) !== 0 ? ip : socket.remoteAddress;
  return { method, url, headers: structuredClone(headers), ip: address };
}
