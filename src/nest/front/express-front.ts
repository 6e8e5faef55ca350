import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpServer } from '@nestjs/common';
import { putMember } from '../../core/lib/members.js';

export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: () => void,
) => void;

/** What an application of Express asks for each request, one after the other. */
interface Layer {
  match(path: string): boolean;
}

interface Router {
  readonly stack: Layer[];
}

interface ExpressApplication {
  all(path: RegExp, handler: Middleware): unknown;
  readonly _router?: Router; // 4
  readonly router: Router;
}

/** All that has a document is below it; Express asks the others nothing more. */
const BELOW_ROOT = /^\/\.well-known\/oauth-protected-resource/;

/**
 * Serves documents in front of all that comes from now on. Where nothing of it could take a request for one of
 * them, that is behind all of it, when it is there: then no other request meets this.
 *
 * @param paths of the documents; `undefined`: nobody knows them all.
 */
export function standOnExpress(
  adapter: HttpServer,
  serve: Middleware,
  paths: readonly string[] | undefined,
): void {
  const express = adapter.getInstance() as ExpressApplication;
  express.all(BELOW_ROOT, serve);
  const { stack } = express._router ?? express.router;
  const layer = stack.at(-1);
  if (paths === undefined || layer === undefined) return;
  beforeUnserved(adapter, () => {
    const at = stack.indexOf(layer);
    const isHidden = stack.slice(at + 1).some((one) => paths.some((path) => mayTake(one, path)));
    if (at >= 0 && !isHidden) stack.push(...stack.splice(at, 1));
  });
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Calls it when all routes are there, and what answers requests that none of them takes is not. */
function beforeUnserved(adapter: HttpServer, then: () => void): void {
  const methods = adapter as unknown as { setNotFoundHandler?: Method };
  const { setNotFoundHandler } = methods;
  if (setNotFoundHandler === undefined) return;
  putMember(methods, 'setNotFoundHandler', (...args: unknown[]): unknown => {
    then();
    return Reflect.apply(setNotFoundHandler, adapter, args);
  });
}

function mayTake(layer: Layer, path: string): boolean {
  try {
    return layer.match(path);
  } catch {
    return true; // of a kind that is not known here
  }
}
