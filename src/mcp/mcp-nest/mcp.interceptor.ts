import {
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common';
import { firstValueFrom, from, type Observable } from 'rxjs';
import type { ResolvedModuleOptions } from '../../core/options.js';
import { MODULE_OPTIONS } from '../../nest/module-options.js';
import { type ConsentOptions, runWithConsent } from '../answers/consent-flow.js';
import { moduleConsentOptions } from '../answers/consent-options.js';
import { AuthplaneMcpExceptionFilter } from './mcp.exception-filter.js';
import { JsonRpcErrorFilter } from '../../nest/refusals/json-rpc-error.js';
import { answerDirectCalls } from './mcp-nest-1.js';
import { mcpNestCall } from './mcp-nest-call.js';

/**
 * Carries the user's answer to a consent question into an MCP-Nest handler: a refusal ends the call,
 * and after an acceptance the handler is tried several times before the user is asked again.
 */
@Injectable()
export class AuthplaneMcpInterceptor implements NestInterceptor {
  readonly #options: ConsentOptions;

  /** @internal Made by Nest. */
  constructor(@Inject(MODULE_OPTIONS) options: ResolvedModuleOptions) {
    this.#options = moduleConsentOptions(options);
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const call = context.getType() === 'rpc' ? mcpNestCall(context) : undefined;
    if (call === undefined) return next.handle();
    // MCP-Nest takes the first value, too; each subscription runs the handler anew.
    const run = (): Promise<unknown> => firstValueFrom(next.handle(), { defaultValue: undefined });
    return from(runWithConsent(call, run, this.#options));
  }
}

/**
 * For an `@McpController` class of MCP-Nest 2, or a provider with tools of MCP-Nest 1: its tools, prompts
 * and resources may throw `ConsentRequiredError` and all other errors of this package, and the client is
 * answered in the shape of its protocol era.
 *
 * After the user has agreed to open the page, a handler is called again, up to five times: ask for
 * the token first and change things afterwards.
 */
export function WithConsent(): ClassDecorator & MethodDecorator {
  return applyDecorators(
    UseFilters(AuthplaneMcpExceptionFilter, JsonRpcErrorFilter),
    UseInterceptors(AuthplaneMcpInterceptor),
    answerDirectCalls,
  );
}
