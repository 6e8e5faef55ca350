import type { ArgumentsHost, ExceptionFilter, HttpServer } from '@nestjs/common';
import { type ApplicationConfig, BaseExceptionFilter, type ModulesContainer } from '@nestjs/core';
import { methodsIn } from '../marks/handler-marks.js';
import { JsonRpcErrorFilter } from './json-rpc-error.js';

/** Where Nest notes the filters of `@UseFilters`, and what a filter takes; part of no public interface. */
const FILTERS = '__exceptionFilters__';
const CAUGHT = '__filterCatchExceptions__';

/**
 * Whether a filter of the application may be asked about an error of a handler before ours is: those of
 * classes, methods and requests are, and without ours all are. They get it as its public answer then, which an
 * interceptor has to make on every route.
 */
export function filtersComeFirst(
  modules: Pick<ModulesContainer, 'values'>,
  config: ApplicationConfig,
  hasFilter: boolean,
): boolean {
  if (!hasFilter || config.getGlobalRequestFilters().length > 0) return true;
  return [...modules.values()]
    .flatMap(({ controllers }) => [...controllers.values()])
    .some(({ metatype }) => typeof metatype === 'function' && hasFilters(metatype));
}

function hasFilters(controller: object): boolean {
  return [controller, ...methodsIn(controller)].some((one) => {
    const filters = (Reflect.getMetadata(FILTERS, one) ?? []) as readonly unknown[];
    return filters.some((filter) => filter !== JsonRpcErrorFilter); // ours takes no such error
  });
}

/** As Nest goes on where a filter of the whole application has not taken the error: the last one first. */
export function passOn(
  error: unknown,
  host: ArgumentsHost,
  others: readonly ExceptionFilter[],
  adapter: HttpServer,
): void {
  const next = others.findLast((filter) => takes(filter, error));
  if (next === undefined) new BaseExceptionFilter(adapter).catch(error, host);
  else next.catch(error, host);
}

function takes(filter: ExceptionFilter, error: unknown): boolean {
  const types = (Reflect.getMetadata(CAUGHT, filter.constructor) ?? []) as Instances[];
  return types.length === 0 || types.some((type) => error instanceof type);
}

type Instances = abstract new (...args: never[]) => unknown;
