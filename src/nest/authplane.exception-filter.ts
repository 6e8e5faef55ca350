import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { httpStatus } from '../core/challenge.js';
import { AuthplaneError } from '../core/errors/authplane-error.js';
import { AuthplaneHttpException } from './refusals/http-refusal.js';
import { passOn } from './refusals/raw-errors.js';
import { Refusals } from './refusals/refusals.js';

/**
 * What this filter takes. An error that a handler threw and that is a 500 is left to the application's
 * filters: it comes to them, and to Nest, as the public answer.
 */
abstract class AnswerableError {
  static [Symbol.hasInstance](error: unknown): boolean {
    if (!(error instanceof AuthplaneError)) return false;
    return !(error instanceof AuthplaneHttpException) || httpStatus(error) !== 500;
  }
}

/**
 * Answers errors of this package with status, `WWW-Authenticate` and a JSON body; see `toChallenge`.
 * What is none of the client's business, such as a refusal of the authorization server, is a 500
 * without details. All other errors go on to the application's filters.
 */
@Catch(AnswerableError)
@Injectable()
export class AuthplaneExceptionFilter implements ExceptionFilter<AuthplaneError> {
  /** @internal Made by Nest. */
  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly refusals: Refusals,
    private readonly config: ApplicationConfig,
  ) {}

  catch(error: AuthplaneError, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const { httpAdapter } = this.adapterHost;
    const response = host.switchToHttp().getResponse<object>();
    if (httpAdapter.isHeadersSent(response)) {
      httpAdapter.end(response); // a stream has begun; its status can no longer be changed
      return;
    }
    const answer = this.refusals.ofHandler(error, host);
    if (!(answer instanceof AuthplaneHttpException)) throw error;
    if (!(answer instanceof AnswerableError)) {
      const others = this.config.getGlobalFilters().filter((filter) => filter !== this);
      passOn(answer, host, others, httpAdapter);
      return;
    }
    httpAdapter.reply(response, answer.getResponse(), answer.getStatus());
  }
}
