/** Tells which functions of the package make objects for warm requests, once for each kind of message. */
import type { HeapProfiler } from 'node:inspector';
import { Session } from 'node:inspector/promises';
import { setFlagsFromString } from 'node:v8';

// Compiled functions are parts of each other, and nobody can tell any more which of them has made what.
for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug', '--no-lazy-feedback-allocation'])
  setFlagsFromString(flag);

const { withNames } = await import('../../../src/core/names/settings.js');
const { BASE, MESSAGES, startWarmRequests } = await import('./warm-requests.js');

const DECISIONS = 200;
/** Of one word and its header, in bytes. */
const SMALLEST_OBJECT = 16;

/** File and function of whatever makes an object in each of so many decisions. */
async function allocatingIn(work: () => unknown): Promise<string[]> {
  const bytes = new Map<string, number>();
  const note = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): void => {
    const [, file] = /\/dist\/(.+)\.js$/.exec(callFrame.url) ?? [];
    const where = `${file}.ts ${callFrame.functionName}`;
    if (file !== undefined) bytes.set(where, (bytes.get(where) ?? 0) + selfSize);
    children.forEach(note);
  };
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 1, // every object
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  } as HeapProfiler.StartSamplingParameterType);
  await work();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  note(profile.head);
  return [...bytes]
    .filter(([, size]) => size / DECISIONS > SMALLEST_OBJECT / 2)
    .map(([where]) => where);
}

async function allocatingFor(asked: Parameters<typeof startWarmRequests>[0]): Promise<string[]> {
  const { make, decide, close } = await startWarmRequests(asked);
  const [before, measured] = [DECISIONS, DECISIONS].map((length) => Array.from({ length }, make));
  for (const exchange of before ?? []) await decide(exchange);
  const found = await allocatingIn(() =>
    Promise.all((measured ?? []).map(async (one) => decide(one))),
  );
  await close();
  return found;
}

const found: Record<string, readonly string[]> = {};
for (const [name, body] of Object.entries(MESSAGES)) found[name] = await allocatingFor({ body });
found['with all of it'] = await allocatingFor({
  names: withNames({ baseUrl: [BASE] }, true),
  guarded: { otherCredentials: () => undefined, user: () => ({}) },
});
process.send?.(found, () => process.exit());
