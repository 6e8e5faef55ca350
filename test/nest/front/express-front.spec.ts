import { describe, expect, test } from 'vitest';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Application } from 'express';
import { type Middleware, standOnExpress } from '../../../src/nest/front/express-front.js';

const DOCUMENT = '/.well-known/oauth-protected-resource/api';
const serve: Middleware = (request, response, next) => {
  if (request.url === DOCUMENT) response.end('document');
  else next();
};

/** @returns where ours stands among the layers that came with it or behind it, and what is answered. */
async function start(
  later: (express: Application) => void,
  { paths }: { readonly paths: readonly string[] | undefined } = { paths: [DOCUMENT] },
) {
  const adapter = new ExpressAdapter();
  const express = adapter.getInstance<Application>();
  const { stack } = express.router as unknown as { readonly stack: readonly object[] };
  const before = stack.length;
  standOnExpress(adapter as never, serve, paths);
  const ours = stack.at(-1) as object;
  later(express);
  adapter.setNotFoundHandler((_request: unknown, response: { end(text: string): void }) =>
    response.end('nowhere'),
  );
  const server = createServer(express).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  const answers = [await get(DOCUMENT), await get('/other'), await get(`${DOCUMENT}/x`)];
  server.close();
  server.closeAllConnections();
  return { at: stack.indexOf(ours) - before, of: stack.length - before, answers };
}

const ran = (_request: unknown, response: { end(text: string): void }) => response.end('ran');

describe('13.1: the document on Express', () => {
  test('13.1: stands behind routes that cannot take it, in front of what answers the rest', async () => {
    const found = await start((express) => void express.get('/other', ran).get('/other/:id', ran));
    expect(found).toEqual({ at: 2, of: 4, answers: ['document', 'ran', 'nowhere'] });
  });

  test.each<[string, (express: Application) => unknown]>([
    ['a route for all paths', (express) => express.get('/*rest', ran)],
    ['a route for its path', (express) => express.post([DOCUMENT, '/other'], ran).use(ran)],
    ['parameters', (express) => express.all('/:a/:b/:c', ran).use(ran)],
    ['an expression', (express) => express.get(/well-known/, ran).use(ran)],
    ['middleware', (express) => express.use(ran)],
    ['a router', (express) => express.use('/.well-known', ran).get('/*rest', ran)],
  ])('13.1: stands in front of %s', async (_, later) => {
    const { at, answers } = await start((express) => void later(express));
    expect(at).toBe(0);
    expect(answers.slice(0, 2)).toEqual(['document', 'ran']);
  });

  test('13.1: stands in front of all where nobody knows its paths', async () => {
    const { at, of } = await start((express) => void express.get('/other', ran), {
      paths: undefined,
    });
    expect([at, of]).toEqual([0, 3]);
  });

  test('13.1: stands in front of a kind of layer that nobody knows', async () => {
    const { at } = await start((express) => {
      express.get('/other', ran);
      const { stack } = express.router as unknown as { readonly stack: { match?: unknown }[] };
      Object.assign(stack.at(-1) as object, {
        match: () => {
          throw new TypeError('no paths here');
        },
      });
    });
    expect(at).toBe(0);
  });
});
