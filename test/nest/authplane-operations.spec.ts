import { describe, expect, it } from 'vitest';
import { AuthplaneOperations } from '../../src/nest/authplane-operations.js';
import { requests } from '../../src/nest/http/request.js';
import { offlineModule } from '../support/nest/offline-module.js';
import { callerOf } from '../support/tokens/callers.js';

const tool = (name: string) => ({ kind: 'tool', name }) as const;
const claimsOf = (...scopes: string[]) => callerOf(scopes).claims;

function start(mcp: object | false) {
  const offline = offlineModule({ mcp });
  return { ...offline, operations: new AuthplaneOperations(offline.resources) };
}

describe('isVisible', () => {
  const hiding = { list: 'hide', tools: { write: ['w'] }, methods: { 'notes/sync': ['s'] } };

  it('is false for what is hidden and whose scopes are not there', () => {
    const { operations } = start(hiding);
    expect(operations.isVisible(tool('write'), claimsOf())).toBe(false);
    expect(operations.isVisible(tool('write'), claimsOf('w'))).toBe(true);
    expect(operations.isVisible(tool('open'), claimsOf())).toBe(true);
  });

  it('is true for methods, which no list names', () => {
    const method = { kind: 'method', name: 'notes/sync' } as const;
    expect(start(hiding).operations.isVisible(method, claimsOf())).toBe(true);
  });

  it('is true for what is only protected', () => {
    const { operations } = start({ ...hiding, list: 'show' });
    expect(operations.isVisible(tool('write'), claimsOf())).toBe(true);
  });

  it('asks rules as the call would', () => {
    const asked: unknown[] = [];
    const rule = ({ method, name }: { method: string; name: string }) => {
      asked.push([method, name]);
      return ['w'];
    };
    const { operations } = start({ list: 'hide', tools: { t: rule }, prompts: { p: rule } });
    operations.isVisible(tool('t'), claimsOf());
    operations.isVisible({ kind: 'prompt', name: 'p' }, claimsOf());
    expect(asked).toEqual([
      ['tools/call', 't'],
      ['prompts/get', 'p'],
    ]);
  });

  it('works inside the request of one of many resources', () => {
    const { operations, main } = start(hiding);
    const member = main.at('https://mcp.example.com/mcp/acme', { tenant: 'acme' });
    requests.run({ resource: member }, () => {
      expect(operations.isVisible(tool('write'), claimsOf('w'))).toBe(true);
    });
  });
});

describe('declare', () => {
  it('makes a requirement known to the guard, beside those that are', () => {
    const { operations, resources } = start({ tools: { write: ['a'] } });
    operations.declare({ ...tool('write'), scopes: ['b'] });
    const { all } = resources.main.mcp.scopes.staticNeeds(tool('write'));
    expect(new Set(all)).toEqual(new Set(['a', 'b']));
  });

  it('says whether it is hidden, before the option does', () => {
    const { operations } = start({ list: 'show' });
    operations.declare({ ...tool('write'), scopes: ['w'], list: 'hide' });
    expect(operations.isVisible(tool('write'), claimsOf())).toBe(false);
  });

  it('of a named resource is of that one only', () => {
    const { operations, resources, client, module } = start({});
    const { resource } = module;
    const other = client.resolvedResource({ ...resource, resource: 'https://mcp.example.com/b' });
    resources.add('other', other, module);
    operations.declare({ ...tool('write'), scopes: ['w'], resource: 'other', list: 'hide' });
    const asked = { ...tool('write'), resource: 'other' };
    expect(operations.isVisible(asked, claimsOf())).toBe(false);
    expect(operations.isVisible(tool('write'), claimsOf())).toBe(true);
  });

  it.each<[string, object | false, string | undefined, RegExp]>([
    ['an unknown resource', {}, 'x', /@UseResource\("x"\): no such resource/],
    ['what is no endpoint', false, undefined, /is no MCP endpoint, as mcp: false says/],
  ])('refuses %s', (_, mcp, resource, problem) => {
    const { operations } = start(mcp);
    const named = { ...tool('write'), ...(resource === undefined ? {} : { resource }) };
    expect(() => operations.declare({ ...named, scopes: ['w'] })).toThrow(problem);
    expect(() => operations.isVisible(named, claimsOf())).toThrow(problem);
  });
});
