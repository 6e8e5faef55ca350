/**
 * An error that says all there is to know: why a request was refused, and not where in this package. To find
 * that out costs more than the refusal.
 *
 * @param make runs at once, and calls nothing of anybody else.
 */
export function withoutStack<Made extends Error>(make: () => Made): Made {
  const { stackTraceLimit } = Error;
  Reflect.set(Error, 'stackTraceLimit', 0); // where that may not be changed it has one
  try {
    return make();
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}
