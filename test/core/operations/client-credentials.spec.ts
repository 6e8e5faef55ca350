import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import { setUpAnswering, type Setup } from '../../support/servers/client-setup.js';
import { replyJson } from '../../support/servers/scripted-server.js';

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUpAnswering();
  operations = setup.operations;
});

afterEach(() => setup.close());

/** The parameters in the order they were sent. */
function sent(): [string, string][] {
  return [...setup.server.last.form];
}

describe('the parameters of client credentials', () => {
  it('rfc6749-client-credentials-success-response', async () => {
    const body = {
      access_token: 'new_token',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read',
    };
    setup.server.on('/token_endpoint', replyJson(body));
    const token = await operations.clientCredentials();
    expect(token).toMatchObject({ accessToken: 'new_token', tokenType: 'Bearer', expiresIn: 3600 });
    expect(token.scope).toBe('read');
    expect(sent()).toEqual([['grant_type', 'client_credentials']]);
  });

  it('rfc6749-client-credentials-scopes-must-support-multiple-values', async () => {
    await operations.clientCredentials({ scopes: ['read', ' ', 'write'] });
    expect(setup.server.last.raw).toMatch(/scope=read(?:\+|%20)write/);
  });

  it('rfc8707-client-credentials-resource-parameter-should-be-supported', async () => {
    await operations.clientCredentials({ resources: ['https://api.example.com', 'x', ''] });
    expect(setup.server.last.form.getAll('resource')).toEqual(['https://api.example.com', 'x']);
  });
});
