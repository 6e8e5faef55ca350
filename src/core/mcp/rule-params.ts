import { InvalidRequestError } from '../errors/request-errors.js';

/**
 * The arguments of an operation for a rule of the application: a copy, so that what runs is what was judged,
 * whatever the rule does with them.
 *
 * @throws InvalidRequestError for what is nested so deeply that nothing can copy it.
 */
export function paramsForRule(params: unknown): unknown {
  if (typeof params !== 'object' || params === null) return params;
  try {
    return structuredClone(params);
  } catch {
    throw new InvalidRequestError('arguments that are nested too deeply for a rule to look at');
  }
}
