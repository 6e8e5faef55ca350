import { describe, expect, it } from 'vitest';
import { OAuthProblem } from '../../../src/testing/http/oauth-problem.js';
import { type ConsentRefusal, Consents } from '../../../src/testing/records/consents.js';
import { Resources } from '../../../src/testing/records/resources.js';

const issuer = 'https://auth.example.com';
const resources = new Resources(
  [
    { uri: 'https://api.example.com', slug: 'api', scopes: ['a'] },
    { uri: 'https://cal.example.com', slug: 'cal', scopes: ['c'], broker: { provider: 'go/ogle' } },
  ],
  undefined,
);
const [api, cal] = [resources.named('api'), resources.named('cal')];

/** What a user is told who asks; `undefined`: nothing, they have agreed. */
function refusal(consents: Consents, resource = api, user = 'alice', scope: string[] = ['a']) {
  try {
    consents.check(resource, user, scope);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(OAuthProblem);
    const { error: code, status, message, members } = error as OAuthProblem;
    expect([code, status]).toEqual(['consent_required', 400]);
    return { message, ...members };
  }
}

describe('who has agreed', () => {
  it('everybody, to a resource of this server; nobody, to one of another', () => {
    const consents = new Consents(issuer);
    expect(refusal(consents)).toBeUndefined();
    expect(refusal(consents, cal)).toMatchObject({ message: 'Authorize access to cal' });
  });

  it('each user for themselves, before what is said of everybody', () => {
    const consents = new Consents(issuer);
    consents.set(cal.uri, 'alice', 'given');
    expect([refusal(consents, cal), refusal(consents, cal, 'bob')]).toEqual([
      undefined,
      expect.anything(),
    ]);
    consents.set(api.uri, undefined, {});
    consents.set(api.uri, 'bob', 'given');
    expect([refusal(consents, api), refusal(consents, api, 'bob')]).toEqual([
      expect.anything(),
      undefined,
    ]);
  });

  it('what is said of everybody later takes back what was said of one', () => {
    const consents = new Consents(issuer);
    consents.set(cal.uri, 'alice', {});
    consents.set(cal.uri, undefined, 'given');
    expect(refusal(consents, cal)).toBeUndefined();
  });
});

describe('how it is asked for', () => {
  const consents = new Consents(issuer);
  const asked = (state: ConsentRefusal, resource = api) => {
    consents.set(resource.uri, undefined, state);
    return refusal(consents, resource, 'alice', ['a', 'b']);
  };

  it('of this server: an authorization request, with the scopes that are missing', () => {
    expect(asked({})).toMatchObject({
      ...{ consent_url: `${issuer}/authorize?resource=api`, cause: 'consent_missing' },
    });
    expect(asked({ cause: 'scope_insufficient' })).toMatchObject({
      ...{ consent_url: `${issuer}/authorize?resource=api&scope=a+b`, cause: 'scope_insufficient' },
    });
  });

  it('of another: the page where an account is connected', () => {
    const back = encodeURIComponent(`${issuer}/connections`);
    expect(asked({}, cal)).toMatchObject({
      consent_url: `${issuer}/connect/go%2Fogle?resource=cal&return_url=${back}`,
    });
  });

  it('or as a test says', () => {
    expect(asked({ flavour: 'connect' })?.['consent_url' as never]).toContain('/connect/api?');
    expect(asked({ flavour: 'authorize' }, cal)?.['consent_url' as never]).toContain('/authorize?');
    expect(asked({ withoutUrl: true })).not.toHaveProperty('consent_url');
    expect(asked({ withoutCause: true })).not.toHaveProperty('cause');
  });
});
