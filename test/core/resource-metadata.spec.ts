import { describe, expect, it } from 'vitest';
import { resolveFurtherOptions, resolveModuleOptions } from '../../src/core/options.js';
import {
  descriptionProblem,
  protectedResourceMetadata,
  resourceMetadataPath,
  resourceMetadataPaths,
  resourceMetadataUrl,
  ROOT_METADATA_PATH,
} from '../../src/core/resource-metadata.js';

const ISSUER = 'https://auth.example.com/tenant';

describe('the document', () => {
  it('RFC 9728 §2: resource, issuer, scopes and the header as the only method', () => {
    const resource = 'https://api.example.com/mcp';
    expect(
      protectedResourceMetadata(ISSUER, { resource, scopes: ['a', 'b'], inboundDPoP: undefined }),
    ).toEqual({
      resource,
      authorization_servers: [ISSUER],
      scopes_supported: ['a', 'b'],
      bearer_methods_supported: ['header'],
    });
  });

  it('RFC 9728 §3.2: a list without entries is left out', () => {
    const document = protectedResourceMetadata(ISSUER, {
      resource: 'https://a.example',
      scopes: [],
      inboundDPoP: undefined,
    });
    expect(Object.keys(document)).toEqual([
      'resource',
      'authorization_servers',
      'bearer_methods_supported',
    ]);
  });

  it('RFC 9728 §3.3: issuer and resource stand there byte for byte', () => {
    const resource = 'https://api.example.com/mcp/';
    const document = protectedResourceMetadata(`${ISSUER}/`, {
      resource,
      scopes: [],
      inboundDPoP: undefined,
    });
    expect([document.resource, document.authorization_servers]).toEqual([resource, [`${ISSUER}/`]]);
  });

  it('nobody can change it', () => {
    const document = protectedResourceMetadata(ISSUER, {
      resource: 'https://a.example',
      scopes: [],
      inboundDPoP: undefined,
    });
    expect(() => Object.assign(document, { resource: 'x' })).toThrow(TypeError);
    const servers = document.authorization_servers as string[];
    expect(() => servers.push('https://evil.example')).toThrow(TypeError);
  });
});

describe('RFC 9728 §3.1: where it stands', () => {
  it.each([
    ['https://api.example.com', ROOT_METADATA_PATH, ''],
    ['https://api.example.com/', ROOT_METADATA_PATH, ''],
    ['https://api.example.com/mcp', `${ROOT_METADATA_PATH}/mcp`, ''],
    ['https://api.example.com/mcp/', `${ROOT_METADATA_PATH}/mcp`, ''],
    ['https://api.example.com/v2/mcp', `${ROOT_METADATA_PATH}/v2/mcp`, ''],
    ['https://api.example.com/mcp?tenant=a', `${ROOT_METADATA_PATH}/mcp`, '?tenant=a'],
  ])('%s', (resource, path, query) => {
    expect(resourceMetadataPath(resource)).toBe(path);
    expect(resourceMetadataUrl(resource)).toBe(`https://api.example.com${path}${query}`);
  });

  it('port and scheme are those of the resource', () => {
    expect(resourceMetadataUrl('http://127.0.0.1:3000/mcp')).toBe(
      `http://127.0.0.1:3000${ROOT_METADATA_PATH}/mcp`,
    );
  });
});

describe('10.15: RFC 9728 §3.1: where clients look', () => {
  it.each([
    ['https://api.example.com', ['']],
    ['https://api.example.com/', ['']],
    ['https://api.example.com/mcp', ['/mcp']],
    ['https://api.example.com/mcp/', ['/mcp', '/mcp/']],
    ['https://api.example.com/mcp//', ['/mcp', '/mcp//']],
  ])('%s', (resource, paths) => {
    expect(resourceMetadataPaths(resource)).toEqual(paths.map((p) => `${ROOT_METADATA_PATH}${p}`));
  });
});

describe('10.24: RFC 9728 §2: what people may be shown', () => {
  const resource = 'https://api.example.com/mcp';
  const described = {
    resource_name: 'Wetter',
    'resource_name#de-AT': 'Wetter',
    resource_documentation: 'https://docs.example.com/mcp?lang=en',
    resource_policy_uri: 'https://example.com/policy',
    'resource_tos_uri#fr': 'https://example.com/fr/tos',
  };

  it('goes into the document, and is not inherited by another resource', () => {
    const options = { issuer: ISSUER, resource, resourceMetadata: described };
    const main = resolveModuleOptions(options);
    expect(protectedResourceMetadata(ISSUER, main.resource)).toMatchObject({
      resource,
      ...described,
    });
    const further = resolveFurtherOptions({ resource: `${resource}/2` }, main);
    expect(further.resource.resourceMetadata).toEqual({});
  });

  it.each<[string, unknown]>([
    ['no object', ['Wetter']],
    ['a member that is not described', { resource: 'https://evil.example' }],
    ['a member of the server', { authorization_servers: 'https://evil.example' }],
    ['another name', { resource_title: 'Wetter' }],
    ['an inherited name', { constructor: 'x' }],
    ['no language', { 'resource_name#': 'Wetter' }],
    ['a language with blanks', { 'resource_name#de AT': 'Wetter' }],
    ['an empty text', { resource_name: '' }],
    ['a number', { resource_name: 1 }],
    ['a long text', { resource_name: 'x'.repeat(1025) }],
    ['a relative URL', { resource_policy_uri: '/policy' }],
    ['a script', { resource_documentation: 'javascript:alert(1)' }],
    ['http', { resource_tos_uri: 'http://example.com/' }],
  ])('refuses %s', (_name, value) => {
    expect(descriptionProblem(value, false)).toEqual(expect.any(String));
  });

  it('devMode takes http', () => {
    expect(descriptionProblem({ resource_tos_uri: 'http://localhost/tos' }, true)).toBeUndefined();
  });
});
