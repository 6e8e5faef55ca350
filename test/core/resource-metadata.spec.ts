import { describe, expect, it } from '@jest/globals';
import {
  protectedResourceMetadata,
  resourceMetadataPath,
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
