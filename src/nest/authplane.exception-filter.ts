import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  Injectable,
  Logger,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ANSWERED_ERRORS } from '../core/challenge.js';
import { type AuthplaneError, InsufficientScopeError } from '../core/errors.js';
import { AuthplaneResource } from '../core/resource.js';
import { RefusalLog } from './refusal-log.js';
import { inboundRequest, requestState } from './request.js';

/**
 * Answers errors about the inbound request with status, `WWW-Authenticate` and a JSON body; see
 * `toChallenge`. Other errors, also this package's own about outbound calls, go on to the
 * application's filters.
 */
@Catch(...ANSWERED_ERRORS)
@Injectable()
export class AuthplaneExceptionFilter implements ExceptionFilter<AuthplaneError> {
  readonly #refusals = new RefusalLog(new Logger(AuthplaneExceptionFilter.name));

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly resource: AuthplaneResource,
  ) {}

  catch(error: AuthplaneError, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const { httpAdapter } = this.adapterHost;
    const http = host.switchToHttp();
    const response = http.getResponse<object>();
    if (httpAdapter.isHeadersSent(response)) {
      httpAdapter.end(response); // a stream has begun; its status can no longer be changed
      return;
    }
    const request = http.getRequest<object>();
    const { challengeScopes, loggedRefusal, resource = this.resource } = requestState(request);
    const needed = challengeScopes?.() ?? [];
    const isOfHandler = error !== loggedRefusal;
    if (isOfHandler) this.#refusals.write(error);
    const { headers: received } = inboundRequest(request);
    const { status, headers, body } = resource.challenge(
      isOfHandler ? withScopes(error, needed) : error,
      { headers: received, ...(needed.length === 0 ? {} : { scopes: needed }) },
    );
    for (const [name, value] of Object.entries(headers)) {
      httpAdapter.setHeader(response, name, value);
    }
    httpAdapter.reply(response, body, status);
  }
}

/** A client that asks for just what is missing would get a token without what it had (RFC 6750 §3.1). */
function withScopes(error: AuthplaneError, needed: readonly string[]): AuthplaneError {
  if (!(error instanceof InsufficientScopeError)) return error;
  return new InsufficientScopeError([...new Set([...needed, ...error.requiredScopes])]);
}
