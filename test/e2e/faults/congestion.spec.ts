import { afterEach, describe, expect, test } from 'vitest';
import { OutboundOverloadError } from '../../../src/core/errors/server-errors.js';
import { httpStatus } from '../../../src/core/index.js';
import { signingKey } from '../../support/tokens/keys-and-tokens.js';
import { type Answer, json } from '../../support/servers/loopback-server.js';
import { trustingResource, type TrustingResource } from '../../support/tokens/trusting-resource.js';

let setup: TrustingResource | undefined;

afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

const issued = {
  access_token: 'issued',
  token_type: 'Bearer',
  expires_in: 60,
  issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
};

/** Healthy, and as slow as that. */
function slow(ms: number, answer: Answer): Answer {
  return (response, request) => {
    request.resume().on('end', () => setTimeout(() => answer(response, request), ms).unref());
  };
}

/** Two calls to each endpoint at once, two seconds each, and 400 ms for an exchange: five a second. */
async function narrow(requestTimeoutSeconds = 2) {
  const key = signingKey('ES256', 'old');
  setup = await trustingResource([key.jwk], {
    client: {
      maxSockets: 2,
      requestTimeoutSeconds,
      auth: { clientId: 'me', clientSecret: 'secret' },
    },
    resource: { revocationChecker: 'introspection' },
  });
  const { server } = setup;
  server.answers.set('/token', slow(400, json(issued)));
  server.answers.set('/introspect', slow(20, json({ active: true })));
  return { ...setup, key };
}

describe('10.11a: more to ask than may be asked at once', () => {
  test('is an overload of our own, and says nothing of an endpoint that is well', async () => {
    const { client, server } = await narrow();
    const subjects = Array.from({ length: 40 }, (_, i) => `subject-${i}`);
    const results = await Promise.allSettled(
      subjects.map((subjectToken) => client.exchange({ subjectToken })),
    );
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    expect(errors.length).toBeGreaterThanOrEqual(40 - 12); // turns that begin within two seconds
    expect(errors.length).toBeLessThan(40);
    for (const error of errors) {
      expect(error).toBeInstanceOf(OutboundOverloadError);
      expect(error).toMatchObject({ code: 'outbound_overload', retryAfterSeconds: 1 });
      expect(httpStatus(error)).toBe(503);
    }
    expect(server.fetchesOf('/token')).toBe(40 - errors.length); // the others were not sent
    // No pause follows: the circuit breaker has seen no failure.
    expect((await client.exchange({ subjectToken: 'one more' })).accessToken).toBe('issued');
  });

  test('at one endpoint leaves introspection, metadata and keys alone', async () => {
    const { client, server, resource, mint, key, clock } = await narrow(10);
    await resource.verify(mint(key));
    server.answers.set('/token', slow(60_000, json(issued)));
    const ended: number[] = [];
    const crowd = Array.from({ length: 20 }, (_, i) =>
      client.exchange({ subjectToken: `subject-${i}` }).catch(() => ended.push(i)),
    );
    const rotated = signingKey('ES256', 'new');
    server.keys = [rotated.jwk, key.jwk];
    clock.advance(61); // so old, metadata is read again before a key is looked for
    const claims = await Promise.all(
      [rotated, key].map((signer) => resource.verify(mint(signer, { claims: { jti: 'x' } }))),
    );
    expect(claims.map(({ sub }) => sub)).toEqual(['user-1', 'user-1']);
    expect(ended).toEqual([]); // sooner than any of the crowd
    expect([server.metadataFetches, server.jwksFetches]).toEqual([2, 2]);
    client.close();
    await Promise.all(crowd);
  });
});
