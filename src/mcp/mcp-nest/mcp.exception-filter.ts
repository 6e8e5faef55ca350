import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  Inject,
  Injectable,
} from '@nestjs/common';
import { type Observable, of, throwError } from 'rxjs';
import { AuthplaneError } from '../../core/errors/authplane-error.js';
import type { ResolvedModuleOptions } from '../../core/options.js';
import { AuthplaneExceptionFilter } from '../../nest/authplane.exception-filter.js';
import { MODULE_OPTIONS } from '../../nest/module-options.js';
import type { ConsentOptions } from '../answers/consent-flow.js';
import { moduleConsentOptions } from '../answers/consent-options.js';
import { failureAnswer, type FailureAnswer, jsonRpcError } from '../answers/failure-answer.js';
import { tellFailure } from '../answers/failure-event.js';
import { directFailureText } from './mcp-nest-1.js';
import { mcpNestCall } from './mcp-nest-call.js';

/**
 * Answers errors of this package from inside MCP-Nest tools, prompts and resources: consent in the
 * shape of the request's protocol era, everything else in words that name the scopes where scopes
 * are missing. Requests that are not MCP-Nest's get what `AuthplaneExceptionFilter` answers.
 *
 * Use it together with {@link AuthplaneMcpInterceptor}, as `@WithConsent()`.
 */
@Catch(AuthplaneError)
@Injectable()
export class AuthplaneMcpExceptionFilter implements ExceptionFilter<AuthplaneError> {
  readonly #options: ConsentOptions | undefined;

  /** MCP-Nest 1 makes its filters without anything injected. */
  /** @internal Made by Nest. */
  constructor(
    private readonly httpFilter?: AuthplaneExceptionFilter,
    @Inject(MODULE_OPTIONS) options?: ResolvedModuleOptions,
  ) {
    this.#options = options && moduleConsentOptions(options);
  }

  catch(error: AuthplaneError, host: ArgumentsHost): Observable<unknown> | string | void {
    if (this.httpFilter === undefined) return directFailureText(error);
    if (host.getType() === 'http') return this.httpFilter.catch(error, host);
    const call = host.getType() === 'rpc' ? mcpNestCall(host) : undefined;
    if (call === undefined || this.#options === undefined) {
      return throwError(() => ({ status: 'error', message: error.code }));
    }
    tellFailure(error, call, this.#options);
    return toObservable(failureAnswer(error, call, this.#options), error);
  }
}

/** MCP-Nest takes for a ready result only what has `content`; everything else becomes JSON text. */
function toObservable(answer: FailureAnswer, cause: AuthplaneError): Observable<unknown> {
  return answer.kind === 'error'
    ? throwError(() => jsonRpcError(answer, cause))
    : of({ content: [], ...answer.result });
}
