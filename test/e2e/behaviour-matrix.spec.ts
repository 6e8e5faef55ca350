import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { request as httpRequest } from 'node:http';
import { Controller, Get, UseGuards } from '@nestjs/common';
import {
  AuthplaneGuard,
  AuthplaneModule,
  Claims,
  type Clock,
  type InboundDPoPOptions,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type DPoPKey,
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { type Row, tableBelow } from '../support/docs/table.js';
import { freePort, platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class McpController {
  @Get()
  get(@Claims() claims: VerifiedClaims) {
    return { proof: claims.dpopProof ?? null };
  }
}

const MODES: Readonly<Record<string, InboundDPoPOptions | undefined>> = {
  off: undefined,
  supported: {},
  required: { required: true },
};
const SCHEMES = ['Bearer', 'DPoP'];
const TOKENS = ['unbound', 'bound', 'unusable'];
const PROOFS = ['none', 'good', 'bad', 'other key', 'replayed', 'two lines'];

const matrix = tableBelow('docs/answers.md', 'Token, scheme and proof');

interface Answer {
  readonly status: number;
  readonly challenge: string;
  readonly nonce: string | undefined;
}

describe.each(platforms)('docs/answers.md, every combination on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let key: DPoPKey;
  let otherKey: DPoPKey;
  const apps = new Map<string, { readonly app: RunningApp; readonly resource: string }>();

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    key = await generateDPoPKey();
    otherKey = await generateDPoPKey();
    for (const [mode, inboundDPoP] of Object.entries(MODES)) {
      apps.set(mode, await start(inboundDPoP));
    }
  });

  afterAll(async () => {
    for (const { app } of apps.values()) await app.close();
    await authorizationServer.close();
  });

  async function start(inboundDPoP: InboundDPoPOptions | undefined, clock?: Clock) {
    const port = await freePort();
    const resource = `http://127.0.0.1:${port}/mcp`;
    const app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({
            issuer: authorizationServer.issuer,
            resource,
            devMode: true,
            ...(inboundDPoP === undefined ? {} : { inboundDPoP }),
            ...(clock === undefined ? {} : { clock }),
          }),
        ],
        controllers: [McpController],
      },
      { platform, port },
    );
    return { app, resource };
  }

  const token = (resource: string, binding: string) => {
    const cnf = { unbound: undefined, bound: { jkt: key.thumbprint }, unusable: { jkt: 1 } }[
      binding
    ];
    return authorizationServer.issueToken({ aud: [resource], ...(cnf ? { cnf } : {}) });
  };

  async function proofs(kind: string, url: string, accessToken: string): Promise<string[]> {
    const good = () => dpopProof(key, { method: 'GET', url, accessToken });
    switch (kind) {
      case 'none':
        return [];
      case 'bad':
        return [dpopProof(key, { method: 'POST', url, accessToken })];
      case 'other key':
        return [dpopProof(otherKey, { method: 'GET', url, accessToken })];
      case 'two lines':
        return [good(), good()];
      case 'replayed': {
        const used = good();
        await call(url, ['Authorization', `DPoP ${accessToken}`, 'DPoP', used]);
        return [used];
      }
      default:
        return [good()];
    }
  }

  const combinations = Object.keys(MODES).flatMap((mode) =>
    SCHEMES.flatMap((scheme) =>
      TOKENS.flatMap((binding) => PROOFS.map((proof) => ({ mode, scheme, binding, proof }))),
    ),
  );

  it.each(combinations)('$mode, $scheme, $binding token, $proof proof', async (combination) => {
    const { mode, scheme, binding, proof } = combination;
    const expected = rowFor({ mode, scheme, token: binding, proof });
    const { resource } = apps.get(mode) ?? (await start(MODES[mode]));
    const accessToken = await token(resource, binding);
    const lines = await proofs(proof, resource, accessToken);
    const answer = await call(resource, [
      'Authorization',
      `${scheme} ${accessToken}`,
      ...lines.flatMap((line) => ['DPoP', line]),
    ]);
    expect({ status: String(answer.status), challenge: summary(answer.challenge) }).toEqual({
      status: expected['status'],
      challenge: expected['challenge']?.replaceAll('`', ''),
    });
  });

  it.each([
    ['off', /^Bearer realm="[^"]+", resource_metadata="[^"]+"$/],
    [
      'supported',
      /^Bearer realm="[^"]+", resource_metadata="[^"]+", DPoP algs="ES256 EdDSA PS256 RS256"$/,
    ],
    ['required', /^DPoP realm="[^"]+", resource_metadata="[^"]+", algs="ES256 EdDSA PS256 RS256"$/],
  ])('no credentials, DPoP %s: challenges what is taken', async (mode, challenge) => {
    const { resource } = apps.get(mode) ?? (await start(MODES[mode]));
    const answer = await call(resource, []);
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(challenge);
  });

  it('the metadata says what DPoP is taken (RFC 9728 §2)', async () => {
    for (const [mode, required] of [
      ['supported', false],
      ['required', true],
    ] as const) {
      const { app } = apps.get(mode) ?? (await start(MODES[mode]));
      const response = await fetch(`${app.url}/.well-known/oauth-protected-resource`);
      expect(await response.json()).toMatchObject({
        dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'PS256', 'RS256'],
        dpop_bound_access_tokens_required: required,
      });
    }
  });

  it.each(tableBelow('docs/answers.md', 'Nonce'))('nonce: $[nonce in the proof]', async (row) => {
    const time = { offset: 0 };
    const clock: Clock = {
      now: () => Date.now() / 1000 + time.offset,
      elapsed: () => performance.now() / 1000,
    };
    const { app, resource } = await start({ nonce: { ttlSeconds: 60 } }, clock);
    const accessToken = await token(resource, 'bound');
    const ask = (nonce: string | undefined) => {
      const iat = Math.floor(clock.now());
      const claims = { iat, exp: undefined };
      const options = { method: 'GET', url: resource, accessToken, claims };
      const proof = dpopProof(key, nonce === undefined ? options : { ...options, nonce });
      return call(resource, ['Authorization', `DPoP ${accessToken}`, 'DPoP', proof]);
    };
    const { nonce: current } = await ask(undefined);
    const kind = row['nonce in the proof'];
    if (kind === 'old') time.offset = 120;
    const nonces: Record<string, string | undefined> = { current, old: current, foreign: 'x' };
    const answer = await ask(nonces[kind ?? '']);
    expect({ status: String(answer.status), challenge: summary(answer.challenge) }).toEqual({
      status: row['status'],
      challenge: row['challenge']?.replaceAll('`', ''),
    });
    expect(answer.nonce).toEqual(expect.any(String));
    await app.close();
  });

  it('shows the proof in the claims', async () => {
    const { resource } = apps.get('supported') ?? (await start({}));
    const accessToken = await token(resource, 'bound');
    const proof = dpopProof(key, {
      method: 'GET',
      url: resource,
      accessToken,
      claims: { jti: 'j1' },
    });
    const response = await fetch(resource, {
      headers: { authorization: `DPoP ${accessToken}`, dpop: proof },
    });
    expect(await response.json()).toEqual({
      proof: { jkt: key.thumbprint, jti: 'j1', htm: 'GET', htu: resource, iat: expect.any(Number) },
    });
  });

  it('T35: Host, forwarded headers and an absolute-form target do not move htu', async () => {
    const { resource } = apps.get('required') ?? (await start({ required: true }));
    const accessToken = await token(resource, 'bound');
    const spoofed = [
      'Host',
      'evil.example',
      'X-Forwarded-Host',
      'evil.example',
      'X-Forwarded-Proto',
      'https',
      'Forwarded',
      'host=evil.example;proto=https',
    ];
    const send = (url: string, target?: string) => {
      const proof = dpopProof(key, { method: 'GET', url, accessToken });
      return call(
        resource,
        [...spoofed, 'Authorization', `DPoP ${accessToken}`, 'DPoP', proof],
        target,
      );
    };
    expect((await send('https://evil.example/mcp')).status).toBe(401);
    expect((await send(resource)).status).toBe(200);
    const absolute = 'http://evil.example/mcp';
    expect((await send(absolute, absolute)).status).not.toBe(200);
  });

  function rowFor(wanted: Row): Row {
    const row = matrix.find((candidate) =>
      Object.entries(wanted).every(([name, value]) =>
        ['any', value].includes(candidate[name] ?? ''),
      ),
    );
    if (row === undefined) throw new Error(`no row for ${JSON.stringify(wanted)}`);
    return row;
  }
});

/** `Bearer invalid_token + DPoP`: the challenged schemes with their errors. */
function summary(challenge: string): string {
  return [...challenge.matchAll(/(?:^|, )(Bearer|DPoP) (.*?)(?=, (?:Bearer|DPoP) |$)/g)]
    .map(([, scheme = '', rest = '']) =>
      `${scheme} ${/error="([^"]+)"/.exec(rest)?.[1] ?? ''}`.trim(),
    )
    .join(' + ');
}

/** Header lines as they are, which `fetch` would join. */
function call(url: string, headers: string[], target?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port, pathname, host } = new URL(url);
    const lines = headers.includes('Host') ? headers : ['Host', host, ...headers];
    const options = { hostname, port, path: target ?? pathname, headers: lines };
    const request = httpRequest(options, (response) => {
      response.resume();
      resolve({
        status: response.statusCode ?? 0,
        challenge: response.headers['www-authenticate'] ?? '',
        nonce: response.headers['dpop-nonce'] as string | undefined,
      });
    });
    request.on('error', reject).end();
  });
}
