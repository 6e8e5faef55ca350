import { describe, expect, it } from 'vitest';
import { OperationScopes } from '../../../../src/core/mcp/operation-scopes.js';
import { requirementsOf } from '../../../../src/core/mcp/settings.js';
import type { Caller } from '../../../../src/core/token/caller.js';
import { rewritten } from '../../../../src/nest/mcp/answers/json-messages.js';
import { isVisible, McpLists, useOf } from '../../../../src/nest/mcp/answers/lists.js';

const scopes = new OperationScopes(
  requirementsOf({ list: 'hide', tools: { secret: ['s'] }, resources: { 'x://{id}': ['r'] } }),
);
const callerWith = (...granted: string[]) =>
  ({ claims: { hasScope: (scope: string) => granted.includes(scope) } }) as Caller;
const forCaller = (lists: McpLists, json: string, caller: Caller) =>
  rewritten(json, (message) => lists.forCaller(message, caller));
const withoutHidden = (json: string, caller: Caller) =>
  forCaller(new McpLists(scopes), json, caller);
const tools = { jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'open' }, { name: 'secret' }] } };
const shown = { ...tools, result: { tools: [{ name: 'open' }] } };

describe('lists without what a caller must not know of', () => {
  it('a message, a batch, and one after a byte order mark', () => {
    const json = JSON.stringify(tools);
    expect(withoutHidden(json, callerWith())).toBe(JSON.stringify(shown));
    expect(withoutHidden(`\ufeff${json}`, callerWith())).toBe(JSON.stringify(shown));
    expect(withoutHidden(`[${json}]`, callerWith())).toBe(JSON.stringify([shown]));
  });

  it.each([
    JSON.stringify(shown, undefined, 2),
    `[${JSON.stringify(shown)}, {"result":null}]`,
    '{"result":{"tools":[{"name":5},null]}}',
    'not JSON',
    '',
  ])('what needs no change keeps its bytes: %j', (json) => {
    expect(withoutHidden(json, callerWith())).toBe(json);
  });

  it('9.9b: an update of a hidden resource is not told, alone or in a batch', () => {
    const updated = (uri: unknown) => ({
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { uri },
    });
    const secret = JSON.stringify(updated('x://1'));
    const open = JSON.stringify(updated('y://1'));
    expect(withoutHidden(secret, callerWith())).toBeUndefined();
    expect(withoutHidden(secret, callerWith('r'))).toBe(secret);
    expect(withoutHidden(open, callerWith())).toBe(open);
    expect(withoutHidden(`[${secret},${open}]`, callerWith())).toBe(`[${open}]`);
    const odd = JSON.stringify(updated(5));
    expect(withoutHidden(odd, callerWith())).toBe(odd);
  });

  it('who has the scope sees everything', () => {
    const json = JSON.stringify(tools);
    expect(withoutHidden(json, callerWith('s'))).toBe(json);
    const resource = useOf({ kind: 'resource', name: 'x://1' });
    expect(isVisible(resource, scopes, callerWith('s'))).toBe(false);
    expect(isVisible(resource, scopes, callerWith('r'))).toBe(true);
  });

  describe('what MCP-Nest says about the scopes of a tool', () => {
    const needs = new OperationScopes(
      requirementsOf({
        tools: { all: ['a', 'b'], any: { any: ['least', 'most'] }, ruled: () => ['late'] },
        prompts: { p: ['p'] },
      }),
    );
    const noauth = [{ type: 'noauth' }];
    const listed = (name: string, entry: object) =>
      JSON.stringify({ id: 1, result: { tools: [{ name, ...entry }] } });
    const lists = new McpLists(needs, { namesSchemes: true });

    it.each([
      ['all', ['a', 'b']],
      ['any', ['least']],
    ])('%s: the scopes that a challenge would name, and nothing is hidden', (name, scopes) => {
      const schemes = [{ type: 'oauth2', scopes }];
      const ofMcpNest2 = { _meta: { x: 1, securitySchemes: noauth } };
      expect(forCaller(lists, listed(name, ofMcpNest2), callerWith())).toBe(
        listed(name, { _meta: { x: 1, securitySchemes: schemes } }),
      );
      const ofMcpNest1 = { securitySchemes: noauth, _meta: { securitySchemes: noauth } };
      expect(forCaller(lists, listed(name, ofMcpNest1), callerWith())).toBe(
        listed(name, { securitySchemes: schemes, _meta: { securitySchemes: schemes } }),
      );
    });

    it.each(['all', 'ruled', 'open'])('%s: adds and invents nothing', (name) => {
      const silent = listed(name, { _meta: { x: 1 } });
      expect(forCaller(lists, silent, callerWith())).toBe(silent);
      const said = listed(name, { _meta: { securitySchemes: noauth } });
      if (name !== 'all') expect(forCaller(lists, said, callerWith())).toBe(said);
      expect(forCaller(new McpLists(needs), said, callerWith())).toBe(said);
      const prompts = said.replace('tools', 'prompts').replace(name, 'p');
      expect(forCaller(lists, prompts, callerWith())).toBe(prompts);
      const shared = said.replace('"tools"', '"cacheScope":"public","tools"').replace(name, 'open');
      expect(forCaller(lists, shared, callerWith())).toBe(shared);
    });

    it('rules are not asked where nothing is hidden', () => {
      let asked = 0;
      const ruled = new OperationScopes(requirementsOf({ tools: { all: () => (asked++, []) } }));
      forCaller(new McpLists(ruled, { namesSchemes: true }), listed('all', {}), callerWith());
      expect(asked).toBe(0);
    });
  });
});
