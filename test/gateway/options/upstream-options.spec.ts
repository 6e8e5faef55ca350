import { describe, expect, test } from 'vitest';
import { clientCredentials, exchange, none } from 'authplane-nestjs/gateway';
import {
  resolveUpstream,
  upstreamProblems,
} from '../../../src/gateway/options/upstream-options.js';

const url = 'https://calendar.example.com/mcp';
const token = exchange({ scope: 'calendar.read' });
const good = { url, token };
const server = () => ({}) as never;
const problems = (options: unknown, name = 'cal', devMode = false) =>
  upstreamProblems(name, options, { devMode });

describe('14.A: options of an upstream', () => {
  test('have defaults', () => {
    const resolved = resolveUpstream('cal', good);
    expect(resolved).toMatchObject({
      ...{ name: 'cal', url, resource: url, token, prefix: 'cal', trusted: false },
      ...{ tools: {}, prompts: {}, resources: {}, defaultOffered: true, scopeMap: {} },
      ...{ listsAre: undefined, pin: 'off', era: 'auto', server: undefined },
      ...{ timeoutMs: 60_000, listTimeoutMs: 3000, connectTimeoutMs: 3000 },
      ...{ maxInFlight: 64, maxQueued: 128, breaker: { threshold: 5, cooldownSeconds: 30 } },
    });
  });

  test('a server in this process has a URL of its own, no token, and sessions', () => {
    expect(resolveUpstream('cal', { server }, exchange({ scope: 'x' }))).toMatchObject({
      ...{ server, url: 'memory:cal', token: { kind: 'none' }, era: '2025-11-25' },
    });
    expect(problems({ server })).toEqual([]);
    expect(problems({ server, url })).toEqual(['upstreams.cal.server: not with url']);
  });

  test('without token it is the strategy of the application, else one is required', () => {
    const strategy = () => undefined;
    expect(upstreamProblems('cal', { url }, { devMode: false, strategy })).toEqual([]);
    expect(resolveUpstream('cal', { url }, strategy).token).toBe(strategy);
    expect(problems({})).toEqual([
      'upstreams.cal.token: is required',
      'upstreams.cal.url: is required',
    ]);
  });

  test('the prefix is the name, another one, or none', () => {
    for (const [prefix, expected] of [
      [true, 'cal'],
      ['c', 'c'],
      [false, false],
    ] as const)
      expect(resolveUpstream('cal', { ...good, prefix }).prefix).toBe(expected);
    expect(problems(good, 'Big')).toEqual([
      expect.stringMatching(/^upstreams\.Big\.prefix: the name "Big" cannot be one .*: name one$/),
    ]);
    expect(problems({ ...good, prefix: 'big' }, 'Big')).toEqual([]);
  });

  test('a breaker may be off, and half said', () => {
    expect(resolveUpstream('cal', { ...good, breaker: false }).breaker).toBe(false);
    expect(resolveUpstream('cal', { ...good, breaker: { threshold: 1 } }).breaker).toEqual({
      ...{ threshold: 1, cooldownSeconds: 30 },
    });
  });

  test.each<[string, object]>([
    [
      'every strategy',
      { token: clientCredentials({ scope: 'a b', resource: 'https://r.example' }) },
    ],
    ['an actor', { token: exchange({ scope: 'a', actor: () => 'token' }) }],
    ['any resource URI or slug', { resource: 'calendar' }],
    ['rules', { tools: { a: false, 'b*': { scopes: ['x'], timeoutMs: 5 }, c: { as: 'book' } } }],
    ['rules of resources', { resources: { 'cal://*': { scopes: { any: ['x'] } } } }],
    ['what is all off', { defaultOffered: false, trusted: true, listsAre: 'public', pin: 'warn' }],
  ])('are right: %s', (_, options) => {
    expect(problems({ ...good, ...options })).toEqual([]);
  });

  test.each<[unknown, RegExp]>([
    ['https://g.example.com', /^upstreams\.cal: must be an object$/],
    [{ ...good, headers: {} }, /\.headers: unknown option$/],
    [{ token, url: 'http://plain.example.com/mcp' }, /\.url: must use https/],
    [{ ...good, token: { bearer: 'x' } }, /\.token: must be exchange\(…\), clientCredentials/],
    [{ ...good, token: exchange({ scope: '' }) }, /\.token: exchange: scope: is required$/],
    [{ ...good, token: exchange({ scope: 'a "b"' }) }, /\.token: exchange: scope: /],
    [
      { ...good, token: { ...token, resource: 3 } },
      /\.token: exchange: resource: must be a string/,
    ],
    [{ ...good, token: { ...token, actor: 3 } }, /\.token: exchange: actor: must be a token or/],
    [{ ...good, resource: 'https://a.example/#b' }, /\.resource: .* without a fragment$/],
    [{ ...good, timeoutMs: -1 }, /\.timeoutMs: must be a whole number from 1 to 600000/],
    [{ ...good, maxQueued: 0.5 }, /\.maxQueued: must be a whole number from 0/],
    [{ ...good, tools: { x: { as: 'a b' } } }, /\.tools: 'x': as: must be a name of letters/],
    [{ ...good, tools: { 'x*': { as: 'x' } } }, /\.tools: "x\*": a glob cannot have one name/],
    [{ ...good, tools: { x: { scopes: () => [] } } }, /\.tools: 'x': scopes: must name scopes/],
    [
      { ...good, resources: { 'a://b': { as: 'c' } } },
      /\.resources: 'a:\/\/b': as: unknown option/,
    ],
    [{ ...good, era: '2024-11-05' }, /\.era: must be /],
    [{ ...good, breaker: true }, /\.breaker: /],
  ])('are wrong: %j', (options, problem) => {
    expect(problems(options)).toEqual([expect.stringMatching(problem)]);
  });

  test('http is for development', () => {
    const options = { url: 'http://127.0.0.1:1/mcp', token: none() };
    expect([problems(options, 'cal', true), problems(options).length]).toEqual([[], 1]);
  });
});
