/**
 * Under this key the exception of a web framework holds the error of this package that it answers for.
 * `instanceof` of our classes looks there, so that filters which ask for one of them still find it.
 */
export const STANDS_FOR = Symbol.for('authplane-nestjs:stands-for');

/** The error of this package behind the exception of a framework; any other value itself. */
export function originalOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return (value as { readonly [STANDS_FOR]?: unknown })[STANDS_FOR] ?? value;
}
