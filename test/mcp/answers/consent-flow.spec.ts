import { ConsentRequiredError } from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import type { McpCall } from '../../../src/mcp/answers/call.js';
import { consentKey } from '../../../src/mcp/answers/consent.js';
import { ConsentRefusedError, runWithConsent } from '../../../src/mcp/answers/consent-flow.js';

const consentRequired = (serviceId = 'calendar') =>
  new ConsentRequiredError('x', { statusCode: 400, error: 'consent_required', serviceId });

/** A call whose user has answered so. */
const callOf = (accepted: readonly string[] = [], more: Partial<McpCall> = {}): McpCall => ({
  ...{ method: 'tools/call', requestId: 1, era: '2026-07-28', urlElicitation: true },
  ...{ caller: undefined, signal: undefined },
  responses: { accepted: new Set(accepted.map(consentKey)), refusal: undefined },
  ...more,
});

async function run(call: McpCall, failures: number, retryDelaysMs?: readonly number[]) {
  let calls = 0;
  const operation = () => {
    if (++calls <= failures) throw consentRequired();
    return 'done';
  };
  const options = retryDelaysMs === undefined ? {} : { retryDelaysMs };
  const outcome = await runWithConsent(call, operation, options).catch((error: unknown) => error);
  return { outcome, calls };
}

describe('runWithConsent', () => {
  it('runs an operation once that succeeds, or whose user was not asked', async () => {
    expect(await run(callOf(), 0)).toEqual({ outcome: 'done', calls: 1 });
    expect(await run(callOf(), 1)).toEqual({ outcome: expect.any(ConsentRequiredError), calls: 1 });
    expect(await run(callOf(['mail']), 1)).toMatchObject({ calls: 1 });
  });

  it('tries again after an acceptance, once for each pause', async () => {
    expect(await run(callOf(['calendar']), 2, [1, 1])).toEqual({ outcome: 'done', calls: 3 });
    expect(await run(callOf(['calendar']), 9, [1, 1])).toEqual({
      outcome: expect.any(ConsentRequiredError),
      calls: 3,
    });
    expect(await run(callOf(['calendar']), 9, [])).toMatchObject({ calls: 1 });
  });

  it('waits as long as the pauses say, and by default a quarter of a second first', async () => {
    const started = performance.now();
    expect(await run(callOf(['calendar']), 1)).toMatchObject({ calls: 2 });
    expect(performance.now() - started).toBeGreaterThan(200);
  });

  it('other errors end it at once', async () => {
    const failing = () => Promise.reject(new TypeError('x'));
    const running = runWithConsent(callOf(['calendar']), failing, { retryDelaysMs: [60_000] });
    await expect(running).rejects.toThrow(TypeError);
  });

  it('a call that is cancelled waits no longer', async () => {
    const { signal } = { signal: AbortSignal.timeout(1) };
    const { outcome } = await run(callOf(['calendar'], { signal }), 9, [60_000]);
    expect(outcome).toMatchObject({ name: 'AbortError' });
  });

  it.each(['decline', 'cancel'] as const)('%s: the operation does not run', async (refusal) => {
    const refused = callOf(['calendar'], { responses: { accepted: new Set(), refusal } });
    const { outcome, calls } = await run(refused, 0);
    expect(calls).toBe(0);
    expect(outcome).toBeInstanceOf(ConsentRefusedError);
    expect(outcome).toMatchObject({ code: 'consent_refused', action: refusal });
  });
});

describe('ConsentRefusedError', () => {
  it('says what the user did', () => {
    expect(new ConsentRefusedError('decline').message).toBe('the user declined consent');
    expect(new ConsentRefusedError('cancel').message).toBe('the user dismissed the question');
  });
});
