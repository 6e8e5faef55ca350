import { afterEach, describe, expect, test } from 'vitest';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { mayServeDocument, standOnFastify } from '../../../src/nest/front/fastify-front.js';
import type { Hook } from '../../../src/nest/http/fastify-hooks.js';

const DOCUMENT = '/.well-known/oauth-protected-resource/api';

let adapter = new FastifyAdapter();
afterEach(() => adapter.close());

/** Answers documents, as the front does. */
const hook: Hook = (request, reply, done) => {
  if (request.raw.url !== DOCUMENT) return done();
  reply.hijack();
  reply.raw.writeHead(200).end('document');
};

const refuse = (_request: unknown, reply: { code(status: number): { send(text: string): void } }) =>
  reply.code(418).send('refused');

/** What has been put on routes, by method and URL. */
function stand(before: (fastify: FastifyInstance) => void = () => undefined) {
  adapter = new FastifyAdapter();
  const fastify = adapter.getInstance<FastifyInstance>();
  before(fastify);
  standOnFastify(adapter as never, hook);
  const routes = new Map<string, number>();
  fastify.addHook('onRoute', ({ method, url, onRequest }: RouteOptions) => {
    routes.set(`${[method].flat().join()} ${url}`, [onRequest ?? []].flat().length);
  });
  const get = async (url = DOCUMENT, method = 'GET') => {
    const { statusCode, body } = await adapter.inject({ url, method: method as 'GET' });
    return `${statusCode} ${body}`;
  };
  return { fastify, routes, get };
}

describe('which routes may serve a document', () => {
  test.each([
    ...[
      '*',
      '/*',
      '/.well-known/*',
      '/:one/*',
      '/:one/:two',
      '/.well-known/:name',
      '/.Well-Known*',
    ],
    ...[DOCUMENT, '/.well-known/oauth-protected-resource', '/.well-known//:name/mcp', '/:a(^.*$)'],
    ...['/:one/oauth-protected-resource/:three?', '/.well-known/oauth-protected-resource/a/:b'],
  ])('%s', (url) => expect(mayServeDocument(url)).toBe(true));

  test.each([
    ...[
      '',
      '/',
      '/open',
      '/:one',
      '/open/*',
      '/open/:id',
      '/.well-known',
      '/.well-known/jwks.json',
    ],
    ...['/.well-known/openid-configuration/*', '/.well-known/oauth-authorization-server/:id'],
    ...['/:one/jwks.json', '/well-known/oauth-protected-resource'],
  ])('not %s', (url) => expect(mayServeDocument(url)).toBe(false));
});

describe('13.1: a hook of ours stands', () => {
  test('13.1: on routes that may take a document or end a session, and on no other', async () => {
    const { fastify, routes, get } = stand();
    const ran = () => Promise.resolve('ran');
    fastify.get('/open', ran).post('/open', ran).get('/open/:id', ran).put('/open/*', ran);
    fastify.delete('/open/:id', ran).all('/all', ran).get('/*', ran);
    await fastify.ready();
    const [withHook, without] = [1, 0].map((count) =>
      [...routes].filter(([, found]) => found === count).map(([route]) => route),
    );
    expect(without).toEqual([
      ...[
        'GET /open',
        'HEAD /open',
        'POST /open',
        'GET /open/:id',
        'HEAD /open/:id',
        'PUT /open/*',
      ],
    ]);
    expect(withHook).toEqual([
      'DELETE /open/:id',
      expect.stringMatching(/DELETE.* \/all$/),
      'GET /*',
      'HEAD /*',
    ]);
    expect([await get(), await get('/open'), await get('/other')]).toEqual([
      ...['200 document', '200 ran', '200 ran'],
    ]);
  });

  test('13.1: in front of those of a route', async () => {
    const { fastify, get } = stand();
    fastify.get('/*', { onRequest: refuse }, () => Promise.resolve('ran'));
    expect([await get(), await get('/other')]).toEqual(['200 document', '418 refused']);
  });

  test('13.1: on what answers where there is no route, whoever sets it', async () => {
    const { fastify, get } = stand();
    expect(fastify.setNotFoundHandler(refuse as never)).toBe(fastify);
    fastify.register(
      (child, _options, done) => {
        child.setNotFoundHandler({ preHandler: (_q, _r, next) => next() }, refuse as never);
        done();
      },
      { prefix: '/.well-known' },
    );
    const answers = [await get(), await get(DOCUMENT, 'PATCH'), await get('/.well-known/other')];
    expect(answers).toEqual(['200 document', '200 document', '418 refused']);
    expect(await get('/nowhere')).toBe('418 refused');
  });

  test('13.1: on Fastify’s own 404, when it is set again', async () => {
    const { fastify, get } = stand();
    (fastify.setNotFoundHandler as () => unknown)();
    expect(await get()).toBe('200 document');
    expect(await get('/nowhere')).toMatch(/^404 .*Route GET:\/nowhere not found/);
  });
});

describe('13.1: in front of hooks of others, one stands on the instance', () => {
  test('13.1: of the application', async () => {
    const { fastify, get } = stand();
    fastify.addHook('onRequest', refuse as never);
    fastify.get('/*', () => Promise.resolve('ran'));
    expect([await get(), await get('/other')]).toEqual(['200 document', '418 refused']);
  });

  test('13.1: of a plugin, for its routes', async () => {
    const { fastify, get } = stand();
    fastify.register((child, _options, done) => {
      child.addHook('onRequest', refuse as never);
      child.get('/*', () => Promise.resolve('ran'));
      done();
    });
    expect([await get(), await get('/other')]).toEqual(['200 document', '418 refused']);
  });

  test('13.1: of later kinds there is none: those run behind it', async () => {
    const { fastify, routes, get } = stand();
    const seen: string[] = [];
    const addHook = fastify.addHook.bind(fastify) as (...args: unknown[]) => unknown;
    Object.assign(fastify, {
      addHook: (name: string, one: unknown) => [seen.push(name), addHook(name, one)],
    });
    fastify.addHook('preHandler', refuse as never);
    fastify.get('/*', () => Promise.resolve('ran'));
    expect([await get(), await get('/other')]).toEqual(['200 document', '418 refused']);
    expect([seen, routes.get('GET /*')]).toEqual([['preHandler'], 1]);
  });

  test('13.1: of what runs middleware there is none before there is any', async () => {
    const { get } = stand();
    await adapter.init();
    adapter.use((_request: unknown, response: { end(text: string): void }) =>
      response.end('middleware'),
    );
    expect(await get()).toBe('200 middleware'); // as ever: a middleware of ours makes way, if there is one
  });

  test('13.1: and middleware that waits for it runs behind the hook', async () => {
    const { get } = stand();
    adapter.use((_request: unknown, response: { end(text: string): void }) =>
      response.end('middleware'),
    );
    await adapter.init();
    expect([await get(), await get('/other')]).toEqual(['200 document', '200 middleware']);
  });

  test('13.1: also where routes were made before', async () => {
    const { get } = stand((fastify) => fastify.get('/*', () => Promise.resolve('ran')));
    expect([await get(), await get('/other')]).toEqual(['200 document', '200 ran']);
  });
});
