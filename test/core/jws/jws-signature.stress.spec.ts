import { expect, test } from 'vitest';
import { compareWithJose, SignatureCases } from '../../support/tokens/signature-cases.js';
import { seededRandom } from '../../support/text/seeded-random.js';

/** `full` takes some minutes. */
const SIZES: Readonly<Record<string, number>> = { '': 20_000, 1: 100_000, full: 1_000_000 };
const CASES = SIZES[process.env['AUTHPLANE_STRESS'] ?? ''] ?? 20_000;

/** A few minutes for a million. */
const TIMEOUT_MS = 3_600_000;

test(
  `13.3: ${CASES} signatures, good and changed, are what jose says they are`,
  async () => {
    const cases = new SignatureCases(seededRandom(20_261_129), 2000);
    const sync = await compareWithJose(cases, Math.ceil(CASES * 0.8), 'sync');
    const pool = await compareWithJose(cases, Math.floor(CASES * 0.2), 'pool');
    expect([...sync.wrong, ...pool.wrong]).toEqual([]);
    expect(sync.accepted + pool.accepted).toBeGreaterThan(CASES / 20);
    expect(sync.stricter).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
