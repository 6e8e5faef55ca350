import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TokenClaims } from 'authplane-nestjs/testing';
import {
  type NotesApp,
  recordRequests,
  sendPlainRefusals,
  startNotesApp,
} from '../../support/package/notes-app.js';
import { type Outcome, TypeScriptClients } from './typescript-clients/clients.js';

const folder = mkdtempSync(join(tmpdir(), 'authplane-typescript-'));
const clients = new TypeScriptClients(folder);
afterAll(async () => {
  await clients.close();
  rmSync(folder, { recursive: true, force: true });
});

const WHY_401 = 'The access token is missing, expired, revoked or not valid for this resource';
const WHY_403 = 'The access token lacks a scope that this operation needs: notes:use notes:write';

const BASE = 'notes:use';
const UNION = 'notes:use notes:write';
const ADVERTISED = 'notes:use notes:read notes:write notes:admin';

/**
 * Endpoint and tool need different scopes, so a client that asks for those of the first challenge has
 * to step up. `ended` and `narrow` are what the user reads with a token from a configuration.
 */
const CLIENTS = [
  {
    name: '@ai-sdk/mcp',
    call: clients.library('ai-sdk'),
    ended: WHY_401,
    narrow: WHY_403,
    asked: [BASE], // it never steps up
    fails: WHY_403,
  },
  {
    name: '@langchain/mcp-adapters',
    call: clients.library('langchain'),
    ended: WHY_401,
    narrow: WHY_403,
    asked: [BASE],
    fails: '403 after trying upscoping', // SDK v1 with a refresh token
  },
  {
    name: '@openai/agents',
    call: clients.library('openai-agents'),
    ended: 'the server requires authorization (HTTP 401)',
    narrow: `Insufficient scope: required "${UNION}"`,
    asked: [BASE, UNION],
  },
  {
    name: '@mastra/mcp',
    call: clients.library('mastra'),
    ended: 'the server requires authorization (HTTP 401)',
    narrow: `Insufficient scope: required "${UNION}"`,
    asked: [BASE, UNION, UNION], // the server approves, but it does not take the new token
    fails: 'Unauthorized',
  },
  {
    name: 'mcp-remote',
    call: clients.mcpRemote,
    // It signs in, and its new token gives way to the one of the configuration.
    ended: 'Connection closed',
    narrow: '403 insufficient_scope after step-up re-authorization',
    asked: [BASE, UNION],
  },
  {
    name: '@modelcontextprotocol/inspector --cli',
    call: clients.inspector,
    ended: WHY_401,
    narrow: `Insufficient scope: required \\"${UNION}\\"`, // in JSON
    asked: [ADVERTISED],
  },
  {
    name: '@apify/mcpc',
    call: clients.mcpc,
    ended: 'Authentication required by server',
    narrow: WHY_403,
    asked: [ADVERTISED],
  },
  {
    name: 'mcporter',
    call: clients.mcporter,
    ended: 'Authorization required',
    narrow: WHY_403,
    asked: [BASE],
    fails: '403 after trying upscoping',
  },
];

/** The same server twice: with JSON-RPC errors, and with what they would replace. */
const BODIES = ['JSON-RPC', 'plain'] as const;
type Body = (typeof BODIES)[number];

interface Observed extends Outcome {
  /** What it fetched and posted, each once. */
  readonly requests: readonly string[];
}

/** Others have written them, with time limits of their own: one that fails is asked once more. */
const FOREIGN = { retry: 1 };

describe.each(CLIENTS)('10.17d: $name', FOREIGN, ({ name, call, ended, narrow, asked, fails }) => {
  test('a good token: the call is answered', async () => {
    const { 'JSON-RPC': first, plain } = await observe('good', { scope: UNION });
    expect(first.error).toBeUndefined();
    expect(first.text).toContain(`bob has added ${name} good`);
    expect(plain.text).toContain(`bob has added ${name} good`);
    expect([plain.asked, plain.error]).toEqual([first.asked, first.error]);
  });

  test('a token that has ended: the user reads what the client shows of it', async () => {
    const claims = { scope: BASE, exp: 1_600_000_000, iat: 1_500_000_000 };
    const { 'JSON-RPC': first, plain } = await observe('ended', claims);
    expect(first.text).toBeUndefined();
    expect(first.error).toContain(ended);
    expect(first.requests).toContain('POST /mcp 401');
    expect(plain.asked).toEqual(first.asked);
  });

  test('a token without the scope: the user reads which is needed', async () => {
    const { 'JSON-RPC': first, plain } = await observe('narrow', { scope: BASE });
    expect(first.text).toBeUndefined();
    expect(first.error).toContain(narrow);
    expect(first.requests).toContain('POST /mcp 403');
    expect(plain.asked).toEqual(first.asked);
  });

  test('no token: discovery and step-up are those of a plain body', async () => {
    const { 'JSON-RPC': first, plain } = await observe('without a token');
    expect(first.requests).toContain('GET /.well-known/oauth-protected-resource/mcp 200');
    expect(first.asked).toEqual(asked);
    if (fails === undefined) {
      expect(first.error).toBeUndefined();
      expect(first.text).toContain(`alice has added ${name} without a token`);
      expect(plain.text).toContain(`alice has added ${name} without a token`);
      expect([plain.asked, plain.error]).toEqual([first.asked, first.error]);
    } else {
      expect(first.text).toBeUndefined();
      expect(first.error).toContain(fails);
      expect(plain.asked).toEqual(first.asked);
    }
  });

  /** One call at each of the two servers, which are asked at once. */
  async function observe(what: string, claims?: TokenClaims): Promise<Record<Body, Observed>> {
    const [first, plain] = await Promise.all(
      BODIES.map(async (body) => {
        const { mcpUrl, authorizationServer } = apps[body];
        const { issuer } = authorizationServer;
        const target = { mcpUrl, issuer, note: `${name} ${what}` };
        const token = claims && { aud: mcpUrl, sub: 'bob', ...claims };
        return call(
          token === undefined
            ? target
            : { ...target, token: await authorizationServer.issueToken(token) },
        );
      }),
    );
    if (first === undefined || plain === undefined) throw new Error('there are two bodies');
    // What a client leaves in the background may have something to say yet.
    await expect.poll(requestsOfOne, { timeout: 10_000 }).toEqual([]);
    return {
      'JSON-RPC': { ...first, requests: requestsOf('JSON-RPC') },
      plain: { ...plain, requests: requestsOf('plain') },
    };
  }
});

/** Without GET and DELETE of the endpoint: they have no body of either kind, and come when they come. */
function requestsOf(body: Body): string[] {
  return [...requests[body]].filter((line) => !/^(?:GET|DELETE) \/mcp /.test(line)).sort();
}

/** Those that one of the servers has noted, and the other has not. */
function requestsOfOne(): string[] {
  const [first, plain] = [requestsOf('JSON-RPC'), requestsOf('plain')];
  return [...first, ...plain].filter((line) => !first.includes(line) || !plain.includes(line));
}

let apps: Record<Body, NotesApp>;
const requests: Record<Body, Set<string>> = { 'JSON-RPC': new Set(), plain: new Set() };

beforeAll(async () => {
  const start = (body: Body) =>
    startNotesApp({
      platform: 'fastify',
      configure: (app) => {
        recordRequests(app, (line) => requests[body].add(line));
        if (body === 'plain') sendPlainRefusals(app);
      },
    });
  apps = { 'JSON-RPC': await start('JSON-RPC'), plain: await start('plain') };
});
beforeEach(() => {
  for (const body of BODIES) requests[body].clear();
});
afterAll(() => Promise.all(BODIES.map((body) => apps[body].close())));
