import { beforeAll, describe, expect, it } from 'vitest';
import { refuseOtherResource, userTokens } from '../../../src/testing/grants/user-tokens.js';
import { AccessTokens } from '../../../src/testing/records/access-tokens.js';
import { Clients } from '../../../src/testing/records/clients.js';
import { SigningKeys } from '../../../src/testing/records/signing-keys.js';
import { claimsOf, Clock, START } from '../../support/servers/stand-in.js';

const issuer = 'https://auth.example.com';
const API = 'https://api.example.com/mcp';
const grant = { clientId: 'app', sub: 'user-1', scope: ['a', 'b'], resource: API };
const clients = new Clients([{ clientId: 'app' }, { clientId: 'agent', agent: true }]);

describe('userTokens', () => {
  let tokens: AccessTokens;
  beforeAll(async () => {
    tokens = new AccessTokens(issuer, await SigningKeys.create('ES256'), new Clock().now);
  });
  const made = (changes: object = {}, client = 'app', jkt?: string) =>
    userTokens(
      { issuer, tokens, ttlSeconds: 900 },
      clients.get(client)!,
      { ...grant, ...changes },
      jkt,
    );

  it('are for what the user agreed to', () => {
    const { success, jti } = made();
    expect(success).toEqual({
      ...{ access_token: expect.any(String), token_type: 'Bearer', expires_in: 900, scope: 'a b' },
    });
    expect(claimsOf(success.access_token)).toMatchObject({
      ...{ sub: 'user-1', aud: [API], client_id: 'app', scope: 'a b', jti, exp: START + 900 },
    });
  });

  it('without a resource are for the issuer; without scopes name none', () => {
    const { success } = made({ resource: undefined, scope: [] });
    expect(success).not.toHaveProperty('scope');
    expect(claimsOf(success.access_token)).toMatchObject({ aud: [issuer] });
  });

  it('name an agent, and the key that they are bound to', () => {
    const { success } = made({ clientId: 'agent' }, 'agent', 'thumbprint');
    expect(success.token_type).toBe('DPoP');
    expect(claimsOf(success.access_token)).toMatchObject({
      ...{ agent_id: 'agent', cnf: { jkt: 'thumbprint' } },
    });
  });
});

describe('refuseOtherResource', () => {
  const asked = (resource: string, fixed: string | undefined = API) =>
    refuseOtherResource(new URLSearchParams({ resource }), { ...grant, resource: fixed });

  it('none, or the one that was fixed', () => {
    for (const resource of ['', API, 'HTTPS://API.example.com/mcp']) {
      expect(() => asked(resource)).not.toThrow();
    }
  });

  it('no other one, also where none was fixed', () => {
    const invalid = expect.objectContaining({ error: 'invalid_target' });
    expect(() => asked(`${API}/`)).toThrow(invalid);
    const none = { ...grant, resource: undefined };
    expect(() => refuseOtherResource(new URLSearchParams({ resource: API }), none)).toThrow(
      invalid,
    );
  });
});
