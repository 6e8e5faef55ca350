import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { runInThisContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleLogger, Logger } from '@nestjs/common';
import {
  AuthContext,
  AuthplaneClient,
  AuthplaneResource,
  DPoPSigner,
  type AsCredentials,
  privateKeyJwt,
  type TokenResponse,
} from 'authplane-nestjs';
import { dpopProof, generateDPoPKey } from 'authplane-nestjs/testing';
import { MODULE_OPTIONS } from '../../src/nest/module-options.js';
import { hearOutput, noteTraffic } from '../support/canary/sources.js';
import { Watch } from '../support/canary/watch.js';
import {
  type Reply,
  replyJson,
  replyRaw,
  ScriptedServer,
} from '../support/servers/scripted-server.js';
import { callService } from '../support/nest/operations-apps.js';
import { type OperationsSystem, startSystem } from '../support/nest/operations-system.js';
import { platforms } from '../support/nest/start-app.js';
import { until } from '../support/time/until.js';

/**
 * T56: secrets of every kind go through everything this package does, well and badly, and whatever
 * it prints, throws or shows of itself is searched for any piece of them.
 */

/** Prints as Nest does, at all levels, and keeps what it is given. */
class RecordingLogger extends ConsoleLogger {
  constructor(readonly watch: Watch) {
    super({ logLevels: ['verbose', 'debug', 'log', 'warn', 'error', 'fatal'], colors: false });
  }

  override log = (...values: unknown[]): void => this.#record('log', values);
  override error = (...values: unknown[]): void => this.#record('error', values);
  override warn = (...values: unknown[]): void => this.#record('warn', values);
  override debug = (...values: unknown[]): void => this.#record('debug', values);
  override verbose = (...values: unknown[]): void => this.#record('verbose', values);
  override fatal = (...values: unknown[]): void => this.#record('fatal', values);

  #record(level: 'log' | 'error' | 'warn' | 'debug' | 'verbose' | 'fatal', values: unknown[]) {
    this.watch.printed(`Nest logger, ${level}`, ...values);
    const [message, ...more] = values;
    ConsoleLogger.prototype[level].apply(this, [message, ...more] as [unknown]);
  }
}

/** Takes all that the process writes and the console is given, until it is told to stop. */
function capture(watch: Watch): () => void {
  const undo = [hearOutput((where, text) => watch.printed(where, text), { mute: true })];
  for (const name of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir'] as const) {
    const original = console[name];
    console[name] = (...values: unknown[]) => watch.printed(`console.${name}`, ...values);
    undo.push(() => (console[name] = original));
  }
  return () => undo.reverse().forEach((step) => step());
}

let watch: Watch;
let release: () => void;
let stopNoting: () => void;

beforeEach(() => {
  watch = new Watch();
  stopNoting = noteTraffic(watch);
  release = capture(watch);
});

afterEach(() => {
  release();
  stopNoting();
});

/** The outcome, watched, when it is an error. */
async function attempt(name: string, work: () => Promise<unknown>): Promise<unknown> {
  return work().catch((error: unknown) => {
    watch.printed(`error of ${name}`, error);
    return undefined;
  });
}

function privateJwk() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = privateKey.export({ format: 'jwk' });
  watch.secret('a private key', jwk.d ?? '');
  return jwk;
}

const random = (): string => randomBytes(24).toString('base64url');

describe.each(platforms)('T56: an application on %s with an authorization server', (platform) => {
  let system: OperationsSystem;
  const nonceSecret = `nonce secret ${random()}`;

  afterEach(() => system.close());

  async function start() {
    watch.secret('the nonce secret', nonceSecret);
    watch.secret('the client secret', 'gateway secret+/%');
    const dpop = DPoPSigner.fromJwk(privateJwk());
    system = await startSystem(platform, {
      dpop,
      orders: { inboundDPoP: {} },
      gateway: {
        inboundDPoP: { nonce: { secret: nonceSecret } },
        revocationChecker: 'introspection',
        jwksRefreshSeconds: 1,
        onBackgroundFailure: (error) => watch.printed('onBackgroundFailure', error),
      },
    });
    Logger.overrideLogger(new RecordingLogger(watch));
    return { dpop, ...system };
  }

  /** An inbound token, which is a secret. */
  async function inbound(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const token = await system.token('alice', claims);
    watch.jwt('an inbound token', token);
    return token;
  }

  async function send(name: string, lines: [string, string][], url = `${system.gatewayUri}/me`) {
    const headers = new Headers(lines);
    const response = await fetch(url, { headers });
    watch.printed(`answer to ${name}`, [...response.headers].join('\n'), await response.text());
    return response.status;
  }

  it('nothing of a secret is in logs, errors, answers and prints of requests that are refused', async () => {
    const { gatewayUri, authorizationServer } = await start();
    const good = await inbound();
    const key = await generateDPoPKey();
    watch.secret('a private key', String(key.privateKey.export({ format: 'jwk' }).d));
    const bound = await inbound({ cnf: { jkt: key.thumbprint } });
    const url = `${gatewayUri}/me`;
    const proof = (changes: object = {}, by = key) => {
      const made = dpopProof(by, { method: 'GET', url, accessToken: bound, ...changes });
      watch.jwt('an inbound proof', made);
      return made;
    };
    const revoked = await inbound();
    authorizationServer.revokeToken(revoked);
    const nonced = await nonce(url, bound, proof());
    const replayed = proof({ nonce: nonced });
    const garbage = Buffer.from(`{"alg":"${good.split('.')[1]}`).toString('base64url');
    const [header = '', claims = '', signature = ''] = good.split('.');

    const requests: [name: string, status: number, lines: [string, string][]][] = [
      ['a good token', 200, [['authorization', `Bearer ${good}`]]],
      ['a scheme of no use', 401, [['authorization', `Basic ${good}`]]],
      ['two tokens', 400, [['authorization', `Bearer ${good} ${good}`]]],
      ['a quoted token', 400, [['authorization', `Bearer "${good}"`]]],
      ['a broken signature', 401, [['authorization', `Bearer ${good.slice(0, -9)}AAAAAAAAA`]]],
      ['no signature', 401, [['authorization', `Bearer ${header}.${claims}.`]]],
      ['four segments', 401, [['authorization', `Bearer ${good}.${signature}`]]],
      ['a header of no JSON', 401, [['authorization', `Bearer ${garbage}.${claims}.${signature}`]]],
      ['claims of no JSON', 401, [['authorization', `Bearer ${header}.${garbage}.${signature}`]]],
      ['an expired token', 401, [['authorization', `Bearer ${await inbound({ exp: 1 })}`]]],
      ['another audience', 401, [['authorization', `Bearer ${await inbound({ aud: ['x'] })}`]]],
      ['another issuer', 401, [['authorization', `Bearer ${await inbound({ iss: 'x' })}`]]],
      ['no subject', 401, [['authorization', `Bearer ${await inbound({ sub: undefined })}`]]],
      ['a revoked token', 401, [['authorization', `Bearer ${revoked}`]]],
      ['a huge token', 401, [['authorization', `Bearer ${good}${'A'.repeat(9_000)}`]]],
      ['a bound token as a bearer token', 401, [['authorization', `Bearer ${bound}`]]],
      ['no proof', 401, [['authorization', `DPoP ${bound}`]]],
    ];
    const proofs: [name: string, status: number, proof: string][] = [
      ['a good proof', 200, replayed],
      ['a replayed proof', 401, replayed],
      ['a proof without nonce', 401, proof()],
      ['a proof for another method', 401, proof({ method: 'POST', nonce: nonced })],
      ['a proof for another URL', 401, proof({ url: `${url}/x`, nonce: nonced })],
      ['a proof for another token', 401, proof({ accessToken: good, nonce: nonced })],
      ['an old proof', 401, proof({ nonce: nonced, claims: { iat: 1 } })],
      ['a proof of another key', 401, proof({ nonce: nonced }, await generateDPoPKey())],
      ['a proof with a bad htu', 401, proof({ nonce: nonced, claims: { htu: good } })],
      ['a proof of no JSON', 401, `${garbage}.${garbage}.${garbage}`],
      ['a proof with a token as typ', 401, proof({ header: { typ: good } })],
    ];
    const statuses: unknown[] = [];
    const expected: unknown[] = [];
    for (const [name, status, lines] of requests) {
      expected.push([name, status]);
      statuses.push([name, await send(name, lines)]);
    }
    for (const [name, status, dpop] of proofs) {
      const lines: [string, string][] = [
        ['authorization', `DPoP ${bound}`],
        ['dpop', dpop],
      ];
      expected.push([name, status]);
      statuses.push([name, await send(name, lines)]);
    }
    await send('a token in the query', [], `${url}?access_token=${good}`);
    authorizationServer.fail('introspect', { status: 500, body: good });
    const unchecked = await inbound();
    await send('introspection down', [['authorization', `Bearer ${unchecked}`]]);

    expect(watch.leaks()).toEqual([]);
    expect(statuses).toEqual(expected);
    expect(watch.where()).toContain('Nest logger, debug');
    expect(watch.text()).toContain('invalid_signature');
    expect(watch.text()).toContain('dpop_replay_detected');
  });

  it('nor of operations that go well or badly', async () => {
    const { client, tasks, call, ordersUri, authorizationServer } = await start();
    const exchange = { resources: [ordersUri], scope: 'orders:read' };
    const tokens: TokenResponse[] = [];
    const keep = (token: TokenResponse): TokenResponse => {
      tokens.push(token);
      if (token.accessToken.split('.').length === 3)
        watch.jwt('an issued token', token.accessToken);
      else watch.secret('a token of the vault', token.accessToken);
      return token;
    };
    const vault = { resources: ['calendar'], scope: 'calendar.read' };
    tasks.set('exchange', async (by, caller) =>
      keep(await by.exchange({ subjectToken: caller.token, ...exchange })),
    );
    tasks.set('vault', async (by, caller) =>
      keep(await by.exchange({ subjectToken: caller.token, ...vault })),
    );
    tasks.set('machine', async (by) =>
      keep(await by.clientCredentials({ scopes: ['orders:read'] })),
    );
    tasks.set('orders', callService({ url: ordersUri, exchange }));
    tasks.set('nobody there', callService({ url: 'http://127.0.0.1:1/', exchange }));
    tasks.set('inbound token in the URL', async (by, { token }) => {
      const url = `${ordersUri}?token=${token}`;
      return by.fetchAs({ subjectToken: token, url, exchange });
    });
    tasks.set('inbound token in a header', async (by, { token }) => {
      const init = { headers: { 'x-token': token } };
      return by.fetchAs({ subjectToken: token, url: ordersUri, init, exchange });
    });
    tasks.set('not a URL', async (by, { token }) =>
      by.fetchAs({ subjectToken: token, url: token, exchange }),
    );
    tasks.set('not a resource', async (by, { token }) =>
      by.exchange({ subjectToken: token, resources: [`urn:${random()}`] }),
    );
    tasks.set('a scope', async (_by, caller) => caller.requireScope('another:scope'));
    tasks.set('print the caller', async (by, caller) => {
      watch.printed('AuthContext', caller);
      watch.printed('claims', caller.claims);
      watch.printed('client', by);
      watch.printed('resource', system.gateway.app.get(AuthplaneResource));
    });
    tasks.set('introspect', async (by, { token }) => {
      watch.printed('introspection', await by.introspect(token));
    });

    const run = async (name: string) => {
      const answer = await call(await inbound(), name);
      watch.printed(`answer to ${name}`, [...answer.headers].join('\n'), answer.body);
      return answer.status;
    };
    const good = ['exchange', 'machine', 'orders', 'print the caller', 'introspect'];
    const bad = ['vault', 'nobody there', 'not a URL', 'not a resource', 'a scope'];
    const misuse = ['inbound token in the URL', 'inbound token in a header'];
    for (const name of good) expect([name, await run(name)]).toEqual([name, 201]);
    for (const name of [...bad, ...misuse]) {
      expect([name, await run(name)]).not.toEqual([name, 201]);
    }
    authorizationServer.giveConsent({ user: 'alice', resource: 'calendar' });
    expect(await run('vault')).toBe(201);

    const page = { contentType: 'text/html', body: `<p>${tokens[0]?.accessToken}</p>` };
    for (const fault of [
      { status: 500 },
      { status: 403, ...page },
      { status: 200, ...page },
      { status: 302, headers: { Location: `http://127.0.0.1:1/?t=${tokens[0]?.accessToken}` } },
      'reset' as const,
      'truncate' as const,
    ]) {
      authorizationServer.fail('token', fault);
      authorizationServer.fail('revoke', fault);
      await run('exchange');
      const token = await inbound();
      await attempt('exchange', () => client.exchange({ subjectToken: token }));
      await attempt('revoke', () => client.revoke(token));
      authorizationServer.fail('introspect', fault);
      await attempt('introspect', () => client.introspect(token));
      await run('exchange');
      authorizationServer.fail('introspect', null);
      system.clock.travel(31);
    }
    authorizationServer.fail('jwks', { status: 500, body: tokens[0]?.accessToken ?? '' });
    await until(() => watch.where().includes('onBackgroundFailure')); // of a refresh

    authorizationServer.fail('token', { status: 500 });
    for (let i = 0; i < 6; i++) {
      const token = await inbound();
      await attempt('exchange', () => client.exchange({ subjectToken: token }));
    }
    authorizationServer.fail('token', null);

    watch.printed('client', client, inspect(client, { showProxy: true, getters: true }));
    watch.printed('module options', system.gateway.app.get(MODULE_OPTIONS));
    watch.printed('AuthContext outside', system.gateway.app.get(AuthContext));
    watch.printed('TokenResponse', ...tokens, tokens, { tokens });

    expect(watch.leaks()).toEqual([]);
    expect(tokens.length).toBeGreaterThanOrEqual(3);
    // All of it was there to be found.
    expect(watch.where()).toEqual(
      expect.arrayContaining(['Nest logger, error', 'Nest logger, debug', 'onBackgroundFailure']),
    );
    expect(watch.text()).toContain('TokenResponse');
    expect(watch.text()).toContain('circuit_open');
  });

  async function nonce(url: string, token: string, proof: string): Promise<string> {
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    const response = await fetch(url, { headers });
    await response.arrayBuffer();
    return response.headers.get('dpop-nonce') ?? '';
  }
});

describe('T56: an authorization server that repeats all it is told', () => {
  let server: ScriptedServer;
  const clients: AuthplaneClient[] = [];

  beforeEach(async () => {
    server = await ScriptedServer.start();
    const { origin } = server;
    const keys = [
      {
        ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
        kid: 'k',
        alg: 'ES256',
      },
    ];
    server.on(
      '/.well-known/oauth-authorization-server',
      replyJson({
        issuer: origin,
        jwks_uri: `${origin}/jwks`,
        token_endpoint: `${origin}/token`,
        introspection_endpoint: `${origin}/introspect`,
        revocation_endpoint: `${origin}/revoke`,
      }),
    );
    server.on('/jwks', replyJson({ keys }));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await server.close();
  });

  /** All the server was told, as it came and decoded. */
  function heard(request: Parameters<Reply>[1]): string {
    const { raw, form, headers } = request;
    for (const name of ['client_assertion']) watch.jwt(name, form.get(name) ?? '');
    const [, basic = ''] = (headers.authorization ?? '').split(' ');
    const decoded = Buffer.from(basic, 'base64').toString();
    const plain = decodeURIComponent(decoded.replaceAll('+', ' '));
    return [raw, ...form.values(), ...Object.values(headers), decoded, plain].join(' | ');
  }

  const problem =
    (status: number, members: (text: string, first: string) => object): Reply =>
    (response, request) => {
      const first = [...request.form.values()].find((value) => value.length > 60) ?? '';
      return replyJson(members(heard(request), first), status)(response, request);
    };

  const REPLIES: Readonly<Record<string, Reply>> = {
    description: problem(400, (text) => ({ error: 'invalid_grant', error_description: text })),
    'description, three times': problem(400, (_text, first) => ({
      error: 'invalid_grant',
      error_description: `${first}${first}${first}${first}`,
    })),
    'description, cut': problem(400, (text) => ({
      error: 'invalid_grant',
      error_description: 'x'.repeat(100) + text.slice(0, 4_050),
    })),
    detail: problem(400, (text) => ({ error: 'invalid_client', detail: text })),
    'error code': problem(400, (_text, first) => ({ error: first.slice(0, 100) })),
    'server error': problem(500, (text) => ({ error: 'server_error', error_description: text })),
    'consent cause': problem(400, (_text, first) => ({
      error: 'consent_required',
      cause: first.slice(0, 100),
      error_description: first,
    })),
    'consent URL': problem(400, (_text, first) => ({
      error: 'consent_required',
      consent_url: `https://auth.example.com/${first}?${new URLSearchParams({ first }).toString()}`,
    })),
    'URL in the description': problem(400, (_text, first) => ({
      error: 'invalid_request',
      error_description: `see https://auth.example.com/?t=${first}`,
    })),
    'no OAuth': problem(400, (text) => ({ message: text })),
    token_type: problem(200, (text) => ({ access_token: 'a', token_type: text })),
    expires_in: problem(200, (text) => ({
      access_token: 'a',
      token_type: 'DPoP',
      expires_in: text,
    })),
    'token with blanks': problem(200, (text) => ({ access_token: text, token_type: 'DPoP' })),
    'a list': problem(200, (text) => [text]),
    'broken JSON': (response, request) =>
      replyRaw(`{"error":"${heard(request)}`, 400, { 'content-type': 'application/json' })(
        response,
        request,
      ),
    'another media type': (response, request) =>
      replyRaw('x', 400, { 'content-type': `text/${request.form.get('token') ?? 'x'}` })(
        response,
        request,
      ),
    challenge: (response, request) => {
      const first = [...request.form.values()].find((value) => value.length > 60) ?? '';
      const headers = { 'www-authenticate': `DPoP error="${first.slice(0, 100)}"` };
      return replyRaw('', 401, headers)(response, request);
    },
    redirect: (response, request) =>
      replyRaw('', 302, { location: `http://127.0.0.1:1/?${request.raw}` })(response, request),
    'no HTTP': (response, request) =>
      void response.socket?.end(`HTTP/1.1 ${request.raw} ${heard(request)}\r\n\r\n`),
    'a bad header': (response, request) =>
      void response.socket?.end(`HTTP/1.1 200 OK\r\n${request.raw}\0: x\r\n\r\n`),
    'half an answer': (response, request) =>
      void response.socket?.end(`HTTP/1.1 400 x\r\nContent-Length: 99999\r\n\r\n${request.raw}`),
  };

  const WAYS: Readonly<Record<string, () => AsCredentials>> = {
    client_secret_basic: () => ({ clientId: 'me', clientSecret: clientSecret() }),
    client_secret_post: () => ({
      clientId: 'me',
      clientSecret: async () => clientSecret(),
      method: 'client_secret_post',
    }),
    private_key_jwt: () => privateKeyJwt({ clientId: 'me', privateKey: privateJwk() }),
  };

  function clientSecret(): string {
    const secret = `${random()}/+%&="\\ ${random()}`;
    watch.secret('the client secret', secret);
    return secret;
  }

  async function clientBy(way: keyof typeof WAYS): Promise<AuthplaneClient> {
    const auth = WAYS[way]?.();
    if (auth === undefined) throw new Error(way);
    const dpop = DPoPSigner.fromJwk(privateJwk());
    const client = await AuthplaneClient.create({
      issuer: server.origin,
      devMode: true,
      auth,
      dpop,
      circuitBreakerThreshold: 1_000,
    });
    clients.push(client);
    watch.printed('client', client);
    watch.printed('signer', dpop);
    if (way === 'private_key_jwt') watch.printed('provider', auth);
    return client;
  }

  /** Opaque, long and printable; or a JWT. */
  function token(kind: 'opaque' | 'jwt' | 'long'): string {
    const value = {
      opaque: () => Array.from({ length: 4 }, random).join(''),
      long: () => Array.from({ length: 40 }, random).join(''),
      jwt: () => `eyJhbGciOiJFUzI1NiJ9.${Array.from({ length: 4 }, random).join('')}.${random()}`,
    }[kind]();
    watch.secret(`a token (${kind})`, kind === 'jwt' ? value.slice(21) : value);
    return value;
  }

  it.each(Object.keys(WAYS))('%s: nothing of it is in the errors', async (way) => {
    const client = await clientBy(way);
    for (const [name, reply] of Object.entries(REPLIES)) {
      for (const path of ['/token', '/introspect', '/revoke']) server.on(path, reply);
      for (const kind of ['opaque', 'jwt', 'long'] as const) {
        const exchange = {
          subjectToken: token(kind),
          actorToken: token('opaque'),
          resources: ['r'],
          scope: random(),
        };
        await attempt(`exchange, ${name}`, () => client.exchange(exchange));
        await attempt(`introspect, ${name}`, () => client.introspect(token(kind)));
        await attempt(`revoke, ${name}`, () => client.revoke(token(kind)));
      }
      await attempt(`clientCredentials, ${name}`, () =>
        client.clientCredentials({ scopes: [random()] }),
      );
    }
    watch.printed('client', client);
    expect(watch.leaks()).toEqual([]);
    expect(server.requests.length).toBeGreaterThan(200);
    expect(watch.where().length).toBeGreaterThan(60);
  });

  it('tokens and refresh tokens of a good answer are shown by their getters only', async () => {
    const client = await clientBy('client_secret_basic');
    const [access, refresh] = [token('opaque'), token('long')];
    server.on(
      '/token',
      replyJson({
        access_token: access,
        refresh_token: refresh,
        token_type: 'DPoP',
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        expires_in: 60,
      }),
    );
    const response = await client.exchange({ subjectToken: token('jwt') });
    expect(response.accessToken).toBe(access);
    expect(response.refreshToken).toBe(refresh);
    watch.printed('TokenResponse', response, [response], { response }, { ...response });
    watch.printed('TokenResponse', inspect(response, { showHidden: true, getters: true }));
    watch.printed('TokenResponse', Object.entries(response), String(response));
    watch.printed('client', client);
    Logger.overrideLogger(new RecordingLogger(watch));
    new Logger('test').log(response);
    new Logger('test').error({ response });
    console.log(response);
    expect(watch.leaks()).toEqual([]);
    expect(watch.text()).toContain('expiresIn');
    expect(watch.where()).toEqual(
      expect.arrayContaining(['Nest logger, log', 'Nest logger, error', 'stdout', 'console.log']),
    );
  });
});

describe('the watch itself', () => {
  it.each<[string, (secret: string) => unknown]>([
    ['a message', (secret) => new Error(`so ${secret} it is`)],
    [
      'a cause of a cause',
      (secret) => new Error('a', { cause: new Error('b', { cause: new Error(secret) }) }),
    ],
    ['a hidden member', (secret) => Object.defineProperty({}, 'hidden', { value: secret })],
    ['deep inside', (secret) => ({ a: { b: { c: { d: { e: { f: [secret] } } } } } })],
    ['a piece of it', (secret) => secret.slice(5, 25)],
    ['base64', (secret) => Buffer.from(secret).toString('base64')],
    ['a buffer', (secret) => Buffer.from(secret)],
    ['form-encoded', (secret) => new URLSearchParams({ secret }).toString()],
    ['toJSON', (secret) => ({ toJSON: () => secret })],
  ])('sees a secret as %s', (_name, print) => {
    const secret = `${random()}+/ ${random()}`;
    watch.secret('it', secret);
    watch.printed('here', print(secret));
    expect(watch.leaks()).toEqual(['it in here']);
  });

  it.each<[string, (text: string) => unknown]>([
    ['stdout', (text) => process.stdout.write(text)],
    ['stderr', (text) => (runInThisContext('process') as NodeJS.Process).stderr.write(text)],
    ['console.warn', (text) => console.warn(text)],
    ['Nest logger, verbose', (text) => new Logger('x').verbose(text)],
  ])('sees what goes to %s', (where, print) => {
    Logger.overrideLogger(new RecordingLogger(watch));
    const secret = random();
    watch.secret('it', secret);
    print(secret);
    expect(watch.leaks()).toContain(`it in ${where}`);
  });
});
