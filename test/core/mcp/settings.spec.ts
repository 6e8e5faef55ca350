import { describe, expect, it } from 'vitest';
import { resolveModuleOptions } from '../../../src/core/options.js';
import { optionProblems, VALID } from '../../support/tokens/option-problems.js';

describe('mcp', () => {
  it.each(['tools', 'resources', 'prompts'])('mcp.%s is a table', (name) => {
    for (const value of [[], new Map([['tool', ['scope']]]), null]) {
      expect(optionProblems('mcp', { [name]: value })).toEqual([`mcp: ${name}: must be a table`]);
    }
  });

  it('browser extensions may call the MCP endpoint', () => {
    expect(optionProblems('mcp', { allowedOrigins: ['chrome-extension://abc'] })).toEqual([]);
  });

  it.each<[string, unknown[], RegExp]>([
    ['unknownMethods', ['hide', null, true], /'pass', 'refuse'/],
    ['list', ['pass', null, true], /'show', 'hide'/],
    ['sessionBinding', ['yes', null, 0], /true or false/],
    ['allowedOrigins', [true, 'https://a.example', [1], ['https://a.example/']], /origin/],
    ['hosts', [{}, [null], [{ name: 'x' }]], /must/],
    ['methods', [{ 'vendor/run': [] }], /names no scope/],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      const problems = optionProblems('mcp', { [name]: value });
      expect(problems).toEqual([expect.stringMatching(problem)]);
      expect(problems[0]).toMatch(new RegExp(`^mcp: ${name}: `));
    }
  });

  it('has the defaults of the contract', () => {
    expect(resolveModuleOptions(VALID).mcp).toEqual({
      unknownMethods: 'pass',
      authentication: 'required',
      list: 'show',
      sessionBinding: true,
    });
  });
});
