import { untilAborted } from '../lib/deadline.js';
import { type Call, CappedBody, lowerCaseNames, type RawAnswer, refuseUnusable } from './answer.js';

/** The shape of `fetch` that is needed here; `globalThis.fetch` fits. */
export type OutboundFetch = (
  url: string,
  init: {
    /** The HTTP method. */
    method: 'GET' | 'POST';
    /** Header fields, credentials included. */
    headers: Record<string, string>;
    /** A form; absent for `GET`. */
    body?: string;
    /** Redirects must not be followed: they would carry credentials elsewhere. */
    redirect: 'manual';
    /** Aborted at the deadline (`requestTimeoutSeconds`). */
    signal: AbortSignal;
  },
) => Promise<Response>;

export async function exchangeByFetch(fetch: OutboundFetch, call: Call): Promise<RawAnswer> {
  const { url, init } = call;
  const { signal } = call.stop;
  const headers = { ...init.headers }; // those of all calls, which nobody else may change
  const pending = fetch(url.href, { ...init, headers, redirect: 'manual', signal });
  try {
    const response = await untilAborted(pending, signal);
    const received = lowerCaseNames(response.headers.entries());
    // The fetch standard hides a redirect behind status 0; Node's fetch shows it.
    const status = response.type === 'opaqueredirect' ? 302 : response.status;
    refuseUnusable(call, status, received);
    return { status, headers: received, bytes: await readBody(response, call) };
  } catch (error) {
    release(pending);
    throw error;
  }
}

async function readBody(response: Response, call: Call): Promise<Uint8Array> {
  const body = new CappedBody(call);
  if (response.body === null) return body.bytes();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader(); // `any` in Node's types
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), call.stop.signal);
      if (done) return body.bytes();
      body.add(value);
    }
  } catch (error) {
    reader.cancel().catch(() => undefined); // its caller has been told already
    throw error;
  }
}

/** Lets go of an answer that nobody will read, also of one that comes after the deadline. */
function release(pending: Promise<Response>): void {
  pending.then((response) => response.body?.cancel()).catch(() => undefined);
}
