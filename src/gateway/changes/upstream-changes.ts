import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Upstream } from '../upstream/upstream.js';
import { listsChangedBy } from './listen-filter.js';

const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Whoever asks next reads the lists anew that a notification of this method is about.
 *
 * @returns whether it is about any
 */
export function noteChange(
  upstream: Upstream,
  method: string,
  { catalogue }: Pick<UpstreamRegistry, 'catalogue'>,
): boolean {
  const shapes = listsChangedBy(method);
  for (const shape of shapes) catalogue.forget(upstream, shape);
  return shapes.length > 0;
}

/** Milliseconds before an upstream is listened to again. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** Math.min(failures, 5));
}
