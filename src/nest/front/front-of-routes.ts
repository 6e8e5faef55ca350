import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpServer } from '@nestjs/common';
import { fastifyOf, type Hook } from '../http/fastify-hooks.js';
import { beforeMiddleware } from '../http/request-context.js';
import { isBelowRoot, type MetadataRoute } from './resource-metadata.route.js';
import { acceptSessionEnd } from './session-end.js';

/** What is used of Express. */
interface ExpressApplication {
  all(path: RegExp, handler: Middleware): unknown;
}

type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** All that has a document is below it; Express asks the others nothing more. */
const BELOW_ROOT = /^\/\.well-known\/oauth-protected-resource/;

/** What is answered, and watched for, in front of all routes. */
export interface Front {
  /** `false`: somebody else serves the documents. */
  readonly metadata: MetadataRoute | false;
  /** Told the target of each request on Fastify that no route serves. */
  readonly onUnserved: (target: string) => void;
}

/**
 * Stands in front of all routes, those of others included, so each question costs all of them. On Fastify there is
 * one hook with three that are answered at once: a middleware would have it describe every request for all
 * middleware. It makes way for middleware all the same, which runs before hooks do.
 */
export class FrontOfRoutes {
  #front: Front | undefined;
  #fastify: object | undefined;

  /** As early as there is a platform: hooks run in the order in which they were added. */
  stand(adapter: HttpServer | undefined): void {
    const fastify = adapter && fastifyOf(adapter);
    if (fastify === undefined || this.#fastify === fastify) return;
    this.#fastify = fastify;
    fastify.addHook('onRequest', this.#onRequest);
  }

  /** In front of routes and of the middleware of modules, behind the middleware that is there by now. */
  begin(adapter: HttpServer, front: Front): void {
    this.#front = front;
    this.stand(adapter);
    const { metadata } = front;
    if (metadata === false) return;
    const serve: Middleware = (request, response, next) => {
      const answer = metadata(request);
      if (answer === undefined) next();
      else answer(request, response);
    };
    if (this.#fastify !== undefined) beforeMiddleware(adapter, () => void adapter.use?.(serve));
    else if (adapter.getType() !== 'express') adapter.use?.(serve);
    else (adapter.getInstance() as ExpressApplication).all(BELOW_ROOT, serve);
  }

  readonly #onRequest: Hook = (request, reply, done) => {
    const { raw } = request;
    const answer = isBelowRoot(raw.url) ? this.#documentFor(request) : undefined;
    if (answer !== undefined) {
      reply.hijack();
      answer(request, reply.raw);
      return;
    }
    if (raw.method === 'DELETE') acceptSessionEnd(raw);
    if (request.is404) this.#front?.onUnserved(request.url);
    done();
  };

  #documentFor(request: Parameters<MetadataRoute>[0]): ReturnType<MetadataRoute> {
    const metadata = this.#front?.metadata;
    return metadata === false ? undefined : metadata?.(request);
  }
}
