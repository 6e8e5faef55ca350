import { describe, expect, it } from 'vitest';
import {
  type Exchange,
  refuseBeyondSubject,
  refuseUnlisted,
} from '../../../src/testing/grants/exchange.js';
import { Clients } from '../../../src/testing/records/clients.js';
import { Resources } from '../../../src/testing/records/resources.js';

describe('refuseUnlisted', () => {
  const client = new Clients([{ clientId: 'app' }]).get('app')!;
  const listing = (...exchangeClients: string[]) =>
    new Resources(
      [{ uri: 'https://api.example', slug: 'api', scopes: [], policy: { exchangeClients } }],
      undefined,
    ).named('api');

  it('a list is for those that are on it', () => {
    expect(() => refuseUnlisted(listing('other', 'app'), client)).not.toThrow();
    expect(() => refuseUnlisted(listing('other'), client)).toThrow(
      expect.objectContaining({ error: 'access_denied', status: 403 }),
    );
  });

  it('without a list there is nobody to be refused', () => {
    expect(() => refuseUnlisted(listing(), client)).not.toThrow();
    const anywhere = new Resources(undefined, undefined).named('https://any.example');
    expect(() => refuseUnlisted(anywhere, client)).not.toThrow();
  });
});

describe('refuseBeyondSubject', () => {
  const asking = (requested: string[], scope: string[]) =>
    refuseBeyondSubject({ requested, subject: { scope } } as unknown as Exchange);

  it('no more than the subject token has, which sets no bound without scopes', () => {
    expect(() => asking(['a'], ['a', 'b'])).not.toThrow();
    expect(() => asking([], ['a'])).not.toThrow();
    expect(() => asking(['x'], [])).not.toThrow();
    expect(() => asking(['a', 'x'], ['a'])).toThrow(
      expect.objectContaining({ error: 'invalid_scope' }),
    );
  });
});
