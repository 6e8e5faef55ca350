import { beforeAll, describe, expect, it } from 'vitest';
import { deploy, issueToken, USER_TOKEN_SECONDS } from '../../src/testing/deployment.js';
import type { AuthorizationServerOptions } from '../../src/testing/options.js';
import { SigningKeys } from '../../src/testing/records/signing-keys.js';
import { claimsOf, Clock, headerOf, START } from '../support/servers/stand-in.js';

const issuer = 'https://auth.example.com';
let keys: SigningKeys;
beforeAll(async () => {
  keys = await SigningKeys.create('ES256');
});
const deployed = (options: AuthorizationServerOptions = {}) =>
  deploy({ now: new Clock().now, ...options }, issuer, keys);

describe('deploy', () => {
  it('has the clients and resources of its options', () => {
    const { clients, resources, options } = deployed({
      clients: [{ clientId: 'app' }],
      resources: [{ uri: 'https://api.example', scopes: ['a'] }],
    });
    expect(clients.get('app')?.clientId).toBe('app');
    expect(resources.scopesSupported).toEqual(['a']);
    expect(options.clients).toHaveLength(1);
  });

  it('counts whole seconds, of the clock that it is given or the real one', () => {
    expect(deployed({ now: () => 5.9 }).now()).toBe(5);
    const real = deploy({}, issuer, keys).now();
    expect(Math.abs(real - Date.now() / 1000)).toBeLessThan(5);
  });

  it('takes proofs, unless DPoP is switched off in either way', () => {
    expect(deployed().dpop).toBeDefined();
    expect(deployed({ dpop: false }).dpop).toBeUndefined();
    expect(deployed({ features: { dpop: false } }).dpop).toBeUndefined();
  });
});

describe('issueToken', () => {
  it('is what the deployment would issue to a user', () => {
    const resources = [{ uri: 'https://api.example', scopes: ['a'] }];
    expect(claimsOf(issueToken(deployed({ resources }), {}, {}))).toMatchObject({
      ...{ iss: issuer, sub: 'user-1', client_id: 'client-1', aud: ['https://api.example'] },
      ...{ iat: START, exp: START + USER_TOKEN_SECONDS },
    });
    expect(claimsOf(issueToken(deployed(), {}, {}))).toMatchObject({ aud: [issuer] });
  });

  it('is changed as the caller says, right or wrong', () => {
    const token = issueToken(deployed(), { sub: 5, aud: undefined }, { typ: 'JWT', kid: 'other' });
    expect(claimsOf(token)).toMatchObject({ sub: 5 });
    expect(claimsOf(token)).not.toHaveProperty('aud');
    expect(headerOf(token)).toMatchObject({ typ: 'JWT', kid: 'other', alg: 'ES256' });
  });

  it('of an agent says so, and keeps to another lifetime', () => {
    const clients = [{ clientId: 'bot', agent: true }];
    const deployment = deployed({ clients, accessTokenTtlSeconds: 5 });
    expect(claimsOf(issueToken(deployment, { client_id: 'bot' }, {}))).toMatchObject({
      ...{ agent_id: 'bot', exp: START + 5 },
    });
    expect(claimsOf(issueToken(deployment, { client_id: 5 }, {}))).toMatchObject({ client_id: 5 });
  });
});
