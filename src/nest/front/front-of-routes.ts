import type { HttpServer } from '@nestjs/common';
import type { Hook } from '../http/fastify-hooks.js';
import { beforeMiddleware } from '../http/request-context.js';
import { type Middleware, standOnExpress } from './express-front.js';
import { standOnFastify } from './fastify-front.js';
import { isBelowRoot, type MetadataRoute } from './resource-metadata.route.js';
import { acceptSessionEnd } from './session-end.js';

/** What is answered, and watched for, in front of all routes. */
export interface Front {
  /** `false`: somebody else serves the documents. */
  readonly metadata: MetadataRoute | false;
  /** Told the target of each request on Fastify that no route serves. */
  readonly onUnserved: (target: string) => void;
}

/**
 * Stands in front of all routes that could take a request for a document, those of others included, and of no other
 * ones: whatever stands in front of a route costs each of its requests something. On Fastify that is a hook of
 * these routes; a middleware would have the platform describe every request for all middleware. It makes way for
 * middleware all the same, which runs before hooks do.
 */
export class FrontOfRoutes {
  #front: Front | undefined;
  #fastify: HttpServer | undefined;

  /** As early as there is a platform, so that it sees all routes, and what others put in front of them. */
  stand(adapter: HttpServer | undefined): void {
    if (adapter?.getType() !== 'fastify' || this.#fastify === adapter) return;
    this.#fastify = adapter;
    standOnFastify(adapter, this.#onRequest);
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
    else if (adapter.getType() === 'express') standOnExpress(adapter, serve, metadata.paths);
    else adapter.use?.(serve);
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
