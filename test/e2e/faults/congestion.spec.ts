import { afterEach, describe, expect, test } from 'vitest';
import { OutboundOverloadError } from '../../../src/core/errors/server-errors.js';
import { httpStatus } from '../../../src/core/index.js';
import { signingKey } from '../../support/tokens/keys-and-tokens.js';
import { type Answer, json } from '../../support/servers/loopback-server.js';
import { holdTimers } from '../../support/time/held-timers.js';
import { until } from '../../support/time/until.js';
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

/** Two calls to each endpoint at once, each of which may take as long as that, and wait as long before. */
async function narrow(requestTimeoutSeconds: number) {
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
  server.answers.set('/introspect', slow(20, json({ active: true })));
  return { ...setup, key };
}

describe('10.11a: more to ask than may be asked at once', () => {
  test('is an overload of our own, and says nothing of an endpoint that is well', async () => {
    const { client, server } = await narrow(7);
    const patience = holdTimers(7000);
    const asked: (() => void)[] = [];
    server.answers.set('/token', (response, request) => {
      request.resume().on('end', () => asked.push(() => json(issued)(response, request)));
    });
    const errors: unknown[] = [];
    const crowd = Array.from({ length: 40 }, (_, i) =>
      client.exchange({ subjectToken: `subject-${i}` }).catch((error) => errors.push(error)),
    );
    for (let turn = 0; turn < 6; turn++) {
      await until(() => asked.length > turn);
      asked[turn]?.();
    }
    await until(() => asked.length === 8); // all have asked, and two are being answered
    await patience.fireFirst(32); // of those that wait for their turn
    await until(() => errors.length === 32);
    for (const answer of asked.slice(6)) answer();
    await Promise.all(crowd);

    expect(errors).toHaveLength(32);
    for (const error of errors) {
      expect(error).toBeInstanceOf(OutboundOverloadError);
      expect(error).toMatchObject({ code: 'outbound_overload', retryAfterSeconds: 1 });
      expect(httpStatus(error as OutboundOverloadError)).toBe(503);
    }
    expect(server.fetchesOf('/token')).toBe(8); // the others were not sent
    // No pause follows: the circuit breaker has seen no failure.
    server.answers.set('/token', json(issued));
    expect((await client.exchange({ subjectToken: 'one more' })).accessToken).toBe('issued');
  });

  test('at one endpoint leaves introspection, metadata and keys alone', async () => {
    const { client, server, resource, mint, key, clock } = await narrow(60);
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
