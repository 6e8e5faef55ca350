import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ANSWERED_ERRORS } from '../core/challenge.js';
import type { AuthplaneError } from '../core/errors.js';
import { AuthplaneResource } from '../core/resource.js';
import { inboundRequest, requestState } from './request.js';

/**
 * Answers errors about the inbound request with status, `WWW-Authenticate` and a JSON body; see
 * `toChallenge`. Other errors, also this package's own about outbound calls, go on to the
 * application's filters.
 */
@Catch(...ANSWERED_ERRORS)
@Injectable()
export class AuthplaneExceptionFilter implements ExceptionFilter<AuthplaneError> {
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
    const { challengeScopes: scopes, resource = this.resource } = requestState(request);
    const { headers: received } = inboundRequest(request);
    const { status, headers, body } = resource.challenge(error, {
      headers: received,
      ...(scopes === undefined ? {} : { scopes }),
    });
    for (const [name, value] of Object.entries(headers)) {
      httpAdapter.setHeader(response, name, value);
    }
    httpAdapter.reply(response, body, status);
  }
}
