import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { setUp, tokenBody } from '../../support/servers/client-setup.js';
import { type Reply, replyJson, replyProblem } from '../../support/servers/scripted-server.js';
import { seededRandom } from '../../support/text/seeded-random.js';

const CALLS = process.env['AUTHPLANE_STRESS'] === undefined ? 2_000 : 10_000;
const USERS = 200;

describe('T47: no user ever gets the token of another', () => {
  it(`${CALLS} exchanges of ${USERS} users with delays, failures and callers who give up`, async () => {
    const setup = await setUp();
    const random = seededRandom(20_260_101);
    const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
    const derived: Reply = async (response, request) => {
      const chance = random();
      if (random() < 0.3) await delay(random() * 4);
      if (chance < 0.03) return replyProblem('consent_required')(response, request);
      if (chance < 0.05) return replyProblem('server_error', 400)(response, request);
      if (chance < 0.06) return void response.destroy();
      const { form } = request;
      const access_token = digest(
        `${form.get('subject_token')} ${form.get('resource')} ${form.get('scope')}`,
      );
      const expires_in = [0, 31, 60, 600, 3600][Math.floor(random() * 5)];
      return replyJson(tokenBody({ access_token, expires_in }))(response, request);
    };
    setup.server.replies.set('/token_endpoint', derived);
    const operations = setup.with({ circuitBreakerThreshold: 1e9, cacheMaxEntries: 500 });
    const tally = { right: 0, wrong: 0, failed: 0, gaveUp: 0 };

    async function oneCall(): Promise<void> {
      const subjectToken = `user-${Math.floor(random() * USERS)}`;
      const resource = `r${Math.floor(random() * 3)}`;
      const scope = random() < 0.5 ? 'read' : 'write';
      const stop = new AbortController();
      const timer = random() < 0.1 ? setTimeout(() => stop.abort(), random() * 5) : undefined;
      try {
        const { signal } = stop;
        const token = await operations.exchange({
          subjectToken,
          resources: [resource],
          scope,
          signal,
        });
        const own = token.accessToken === digest(`${subjectToken} ${resource} ${scope}`);
        tally[own ? 'right' : 'wrong'] += 1;
      } catch (error) {
        tally[error === stop.signal.reason ? 'gaveUp' : 'failed'] += 1;
      } finally {
        clearTimeout(timer);
      }
      if (random() < 0.01) setup.clock.advance(1);
      if (random() < 0.005) operations.evict(`user-${Math.floor(random() * USERS)}`);
    }

    async function caller(): Promise<void> {
      for (let i = 0; i < CALLS / USERS; i++) await oneCall();
    }
    await Promise.all(Array.from({ length: USERS }, caller));
    expect(tally.wrong).toBe(0);
    expect(tally.right + tally.failed + tally.gaveUp).toBe(CALLS);
    expect(tally.right).toBeGreaterThan(CALLS / 2);
    expect(tally.failed).toBeGreaterThan(CALLS / 400);
    expect(tally.gaveUp).toBeGreaterThan(CALLS / 400);
    expect(setup.server.requests.length).toBeLessThan(CALLS);
    await setup.close();
  }, 900_000);
});
