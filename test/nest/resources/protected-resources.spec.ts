import { describe, expect, it } from 'vitest';
import { ProtectedResources } from '../../../src/nest/resources/protected-resources.js';
import { offlineModule } from '../../support/nest/offline-module.js';

const BASE = 'https://mcp.example.com';

/** A module, and a way to add resources to it. */
function start(options: Parameters<typeof offlineModule>[0] = {}) {
  const offline = offlineModule(options);
  const { resources, client, module } = offline;
  const add = (name: string, resource: string, changes: object = {}) =>
    resources.add(name, client.resolvedResource({ ...module.resource, resource }), {
      ...module,
      names: undefined,
      ...changes,
    });
  return { ...offline, add };
}

describe('the resource of the module', () => {
  it('is there without a name, and is an MCP endpoint', () => {
    const { resources, main } = start();
    expect(resources.get(undefined)).toBe(resources.main);
    expect(resources.endpoint(undefined)).toBe(resources.main);
    const { name, resource, known, templates, isMcp, path, description } = resources.main;
    expect([name, path, description]).toEqual([undefined, '/mcp', `${BASE}/mcp`]);
    expect([resource === main, known.length, known[0] === main]).toEqual([true, 1, true]);
    expect([templates, isMcp, resources.main.many]).toEqual([[], true, undefined]);
  });

  it('takes access tokens only, and asks nobody for users, unless the options say so', () => {
    const { main } = start().resources;
    expect([main.otherCredentials, main.users]).toEqual([undefined, undefined]);
  });

  it('needs its scopes for all requests only where the options say so', () => {
    const needs = (enforceScopesOnAllRequests: boolean) =>
      start({ scopes: ['a'], enforceScopesOnAllRequests }).resources.main.baseNeeds;
    expect([needs(false), needs(true)]).toEqual([
      { all: [], anyOf: [] },
      { all: ['a'], anyOf: [] },
    ]);
  });

  it('asks the application where it has something to ask', () => {
    const { main } = start({ otherCredentials: () => undefined, user: () => null }).resources;
    expect(main.otherCredentials).toBeDefined();
    expect(main.users).toBeDefined();
    const off = start({ otherCredentials: false, user: false }).resources.main;
    expect([off.otherCredentials, off.users]).toEqual([undefined, undefined]);
  });

  it('may be many, whose known ones and templates are told', () => {
    const names = ['https://a.example.com', 'https://b.example.com'];
    const { main } = start({ baseUrl: names, mcpPath: '/mcp' }).resources;
    expect(main.known.map(({ resource }) => resource)).toEqual(names.map((one) => `${one}/mcp`));
    expect([main.path, main.templates]).toEqual(['/mcp', []]);
    const isResource = () => true;
    const byPath = start({
      baseUrl: `${BASE}/base`,
      mcpPath: '/mcp/:tenant',
      isResource,
    }).resources;
    expect(byPath.main).toMatchObject({
      ...{ known: [], path: '/base/mcp/:tenant', templates: [`${BASE}/base/mcp/:tenant`] },
    });
    expect(byPath.main.many).toBeDefined();
  });
});

describe('further resources', () => {
  it('are found by their names', () => {
    const { resources, add } = start();
    add('notes', `${BASE}/notes`);
    add('files', `${BASE}/files`);
    expect(resources.all().map(({ name }) => name)).toEqual([undefined, 'notes', 'files']);
    expect(resources.resourceNamed('files').resource).toBe(`${BASE}/files`);
    expect(() => resources.get('mail')).toThrow(
      '@UseResource("mail"): no such resource; AuthplaneModule.forFeature has named: "notes", "files"',
    );
  });

  it('have names and places of their own', () => {
    const { resources, add } = start();
    add('notes', `${BASE}/notes`);
    expect(() => add('notes', `${BASE}/other`)).toThrow(
      'forFeature: two resources are named "notes"',
    );
    expect(() => add('again', `${BASE}/notes/`)).toThrow(
      /forFeature "again": the metadata of .*\/notes\/ would be at .*, where that of .*\/notes \(notes\) is; give it a path/,
    );
    expect(() => add('again', 'https://other.example.com/mcp')).toThrow(/\(forRoot\) is/);
    expect(() => add('root', BASE)).toThrow(/\(forRoot\) is/);
    expect(resources.all()).toHaveLength(2);
  });

  it('may be at the root where the main one has left it', () => {
    const { main, module, client } = offlineModule();
    const resources = new ProtectedResources(main, module, { isMainAtRoot: false });
    const root = client.resolvedResource({ ...module.resource, resource: BASE });
    resources.add('root', root, module);
    expect(resources.get('root').path).toBe('/');
  });

  it('of which some are no MCP endpoints', () => {
    const { resources, add } = start({ mcp: false });
    add('tools', `${BASE}/tools`, { mcp: {} });
    expect(resources.endpoints.map(({ name }) => name)).toEqual(['tools']);
    expect(resources.mcpMain.name).toBe('tools');
    expect(() => resources.endpoint(undefined)).toThrow(
      `${BASE}/mcp is no MCP endpoint, as mcp: false says: leave that out, or name another resource`,
    );
    expect(start({ mcp: false }).resources.mcpMain.name).toBeUndefined();
  });
});

it('methods ask for their caller, until tests have replaced the guard', () => {
  expect(start().resources.isEnforced).toBe(true);
});
