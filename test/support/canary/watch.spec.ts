import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { ConfigurationError, InvalidClaimsError, OAuthError } from 'authplane-nestjs/core';
import { dpopProof, generateDPoPKey, startAuthorizationServer } from 'authplane-nestjs/testing';
import { OutboundHttp } from '../../../src/core/http/client.js';
import { takeLeaks } from './setup.js';
import { Watch } from './watch.js';

const random = (): string => randomBytes(24).toString('base64url');

/** These tests print secrets on purpose, and take what was found before it fails the spec. */
describe('the watch over all specs', () => {
  let server: Server;
  let url: string;
  const http = new OutboundHttp({ devMode: true });

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ refresh_token: request.headers['x-token'] }));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });

  afterAll(() => {
    http.close();
    server.closeAllConnections();
    server.close();
  });

  async function send(headers: Record<string, string>, form = {}): Promise<void> {
    await http.postForm(url, new URLSearchParams(form), headers);
  }

  async function sentToken(): Promise<string> {
    const token = random();
    await send({ authorization: `Bearer ${token}` });
    return token;
  }

  const found = (secret: string, what: string, where: string): string =>
    `${what} "${secret.slice(0, 4)}…" in ${where}, during: ${expect.getState().currentTestName}`;

  it('finds a token in a log line, although the log is switched off', async () => {
    const token = await sentToken();
    new Logger('here').debug(`refused ${token}`);
    expect(takeLeaks()).toEqual([found(token, 'a credential', 'Nest logger, debug')]);
  });

  it('finds a token in an error message, also when nobody sees the error', async () => {
    const token = await sentToken();
    void new InvalidClaimsError(`aud is ${token}`);
    expect(takeLeaks()).toContain(
      found(token, 'a credential', 'the message of InvalidClaimsError'),
    );
  });

  it('finds a token in a member and in the cause of a cause', async () => {
    const token = await sentToken();
    const member = new InvalidClaimsError('wrong');
    Object.defineProperty(member, 'hidden', { value: { in: [{ an: { object: [token] } }] } });
    expect(takeLeaks()).toEqual([found(token, 'a credential', 'an inspected InvalidClaimsError')]);
    const cause = new Error('b', { cause: new Error(`about ${token}`) });
    void new ConfigurationError('wrong', { cause });
    expect(takeLeaks()).toEqual([found(token, 'a credential', 'an inspected ConfigurationError')]);
  });

  it('finds a piece of a proof on the console', async () => {
    const key = await generateDPoPKey();
    const proof = dpopProof(key, { method: 'GET', url });
    await send({ dpop: proof });
    console.warn(`got ${proof.slice(-40)}`);
    expect(takeLeaks()).toContainEqual(
      expect.stringMatching(/^a proof "eyJ.…" \(signature\) in stderr, during: /),
    );
  });

  it('finds a client secret in an error, whichever way it is sent', async () => {
    for (const way of ['header', 'body']) {
      const secret = `${random()}+/ %`;
      const basic = Buffer.from(`me:${encodeURIComponent(secret)}`).toString('base64');
      if (way === 'header') await send({ authorization: `Basic ${basic}` });
      else await send({}, { client_secret: secret });
      const options = { statusCode: 400, error: 'invalid_client', description: secret };
      void new OAuthError('refused', options);
      const what = way === 'header' ? 'the client secret' : 'the client_secret';
      expect(takeLeaks()).toEqual([found(secret, what, 'an inspected OAuthError')]);
    }
  });

  it('finds the tokens of an answer, and what the global fetch sends', async () => {
    const [refresh, fetched] = [random(), random()];
    await send({ 'x-token': refresh });
    await (await fetch(url, { headers: { authorization: `DPoP ${fetched}` } })).text();
    process.stdout.write(`${JSON.stringify({ refresh, fetched })}\n`);
    expect(takeLeaks()).toEqual([
      found(refresh, 'the refresh_token', 'stdout'),
      found(fetched, 'a credential', 'stdout'),
    ]);
  });

  it('finds what nobody sent, by its looks', async () => {
    const server = await startAuthorizationServer();
    const token = await server.issueToken({});
    await server.close();
    const { privateKey } = await generateDPoPKey();
    for (const secret of [
      token,
      JSON.stringify(privateKey.export({ format: 'jwk' })),
      privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    ]) {
      new Logger('here').log(secret);
    }
    expect(takeLeaks()).toEqual(
      expect.arrayContaining([
        found(token, 'a compact JWS', 'Nest logger, log'),
        expect.stringMatching(/^a private JWK "....…" in Nest logger, log/),
        expect.stringMatching(/^a private key "....…" in Nest logger, log/),
      ]),
    );
  });

  it('says nothing of harmless text', async () => {
    const token = await sentToken();
    new Logger('here').warn(`refused ${token.slice(0, 8)}… of https://client.example.com/`);
    console.log('invalid_token: the access token expired', { d: 'public' });
    void new InvalidClaimsError('aud does not contain https://api.example.com/mcp');
    expect(takeLeaks()).toEqual([]);
  });

  it('leaves errors as they are', () => {
    const error = new InvalidClaimsError('wrong');
    expect(Object.getOwnPropertyDescriptor(error, 'name')).toEqual({
      value: 'InvalidClaimsError',
      writable: true,
      enumerable: true,
      configurable: true,
    });
    expect(error).toMatchObject({ name: 'InvalidClaimsError', code: 'invalid_claims' });
  });
});

it('a leak is any 16 characters of a secret, in any spelling, wherever they stand', () => {
  const secret = `${random()}+/%${random()}`;
  const watch = new Watch();
  watch.secret('a secret', secret);
  const leaksOf = (text: string) => {
    watch.forgetPrinted();
    watch.printed('a log', text);
    return watch.leaks();
  };
  for (const spelling of [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('hex'),
  ]) {
    for (let at = 0; at + 16 <= spelling.length; at++) {
      const before = '~'.repeat(at % 11);
      expect(leaksOf(`${before}${spelling.slice(at, at + 16)}~`)).toEqual(['a secret in a log']);
      expect(leaksOf(`${before}${spelling.slice(at, at + 15)}~`)).toEqual([]);
    }
  }
});
