import { describe, expect, test } from 'vitest';
import { ConfigurationError } from 'authplane-nestjs';
import { clientCredentials, exchange, none } from 'authplane-nestjs/gateway';
import { resolveAdded, resolveGateway } from '../../../src/gateway/options/gateway-options.js';

const good = {
  url: 'https://calendar.example.com/mcp',
  token: exchange({ scope: 'calendar.read' }),
};

function problemsOf(options: unknown, devMode = false): readonly string[] {
  try {
    resolveGateway(options as never, devMode);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

describe('14.A: options of a gateway', () => {
  test('have defaults', () => {
    const { upstreams, ...gateway } = resolveGateway({ upstreams: { calendar: good } }, false);
    expect(gateway).toMatchObject({ maxNameLength: 64, pageSize: 1000, perCallerInFlight: 16 });
    expect(upstreams).toMatchObject([{ name: 'calendar', url: good.url }]);
  });

  test('all problems are reported at once, those of every upstream too', () => {
    const problems = problemsOf({
      maxNameLength: 5,
      pagesize: 3,
      upstreams: {
        a: { url: 'http://plain.example.com/mcp', token: none() },
        b: { url: 'https://b.example.com/mcp' },
      },
    });
    expect(problems).toEqual([
      'gateway: maxNameLength: must be a whole number from 40 to 128',
      'gateway: pagesize: unknown option; did you mean pageSize?',
      expect.stringMatching(/^gateway: upstreams\.a\.url: must use https/),
      'gateway: upstreams.b.token: is required',
    ]);
  });

  test.each([[undefined], [null], [{}], [{ upstreams: [] }]])('no upstreams: %j', (options) => {
    expect(problemsOf(options).length).toBeGreaterThan(0);
  });

  test('http is for development', () => {
    const upstreams = { a: { url: 'http://127.0.0.1:1/mcp', token: none() } };
    expect(problemsOf({ upstreams }, true)).toEqual([]);
  });

  test('two upstreams cannot share a prefix, nor two operations a name', () => {
    const problems = problemsOf({
      upstreams: {
        one: { ...good, tools: { a: { as: 'same' }, b: { as: 'same' } } },
        two: { ...good, prefix: 'one', prompts: { a: { as: 'same' } } },
        three: { ...good, prefix: false },
        four: { ...good, prefix: false, tools: { c: { as: 'same' } } },
      },
    });
    expect(problems).toEqual([
      'gateway: upstreams.two: the prefix "one" is that of upstreams.one, too',
      'gateway: upstreams.one.tools.b: the name "same" is that of upstreams.one.tools.a, too',
      'gateway: upstreams.four.tools.c: the name "same" is that of upstreams.one.tools.b, too',
    ]);
  });

  test('an upstream that is added is checked in the same way', () => {
    const { upstreams } = resolveGateway({ upstreams: { one: good } }, false);
    const add = (name: string, options: unknown) =>
      resolveAdded(name, options as never, { others: upstreams, ownTools: [], devMode: false });
    expect(add('two', { ...good, token: clientCredentials({ scope: 'x' }) }).prefix).toBe('two');
    expect(() => add('two', { ...good, prefix: 'one' })).toThrow(/the prefix "one"/);
    expect(() => add('two', { url: 'x' })).toThrow(ConfigurationError);
  });
});
