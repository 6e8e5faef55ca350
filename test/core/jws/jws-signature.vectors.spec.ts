import { createPublicKey, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { ecdsaDer } from '../../../src/core/jws/ecdsa-der.js';
import { isJsonObject } from '../../../src/core/lib/members.js';
import { sharedVectors } from '../../support/tokens/dpop-proofs.js';
import { verdictOfJose, verdictOfOurs } from '../../support/tokens/signature-cases.js';

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws?: unknown;
  readonly msg?: string;
  readonly sig?: string;
  readonly result: string;
}

interface Group {
  readonly public?: unknown;
  readonly publicKeyPem?: string;
  readonly tests: readonly Vector[];
}

function groupsOf(file: string): readonly Group[] {
  const vectors = sharedVectors(`wycheproof/${file}`) as { testGroups: Group[] } | undefined;
  return vectors?.testGroups ?? [];
}

/** Accepted by jose, and no tokens here: claims are an object. */
const STRICTER = ['emptyPayload'];

test('13.3: Wycheproof: JWS are what jose says they are, but for those without claims', async () => {
  const different = new Set<string>();
  let compared = 0;
  for (const { public: jwk, tests } of groupsOf('json_web_signature_test.json')) {
    if (!isJsonObject(jwk) || jwk['kty'] === 'oct' || jwk['kty'] === undefined) continue;
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    for (const { comment, jws } of tests) {
      if (typeof jws !== 'string') continue;
      const one = { change: '', text: jws, alg: algOf(jws), key };
      compared++;
      const verdicts = [await verdictOfJose(one), await verdictOfOurs(one, 'sync')];
      if (verdicts[0] !== verdicts[1]) different.add(comment);
    }
  }
  if (compared > 0) expect([...different]).toEqual(STRICTER);
});

test('13.3: Wycheproof: signatures in DER hold when those of two numbers do', () => {
  for (const { publicKeyPem = '', tests } of groupsOf('ecdsa_secp256r1_sha256_p1363_test.json')) {
    const key = createPublicKey(publicKeyPem);
    for (const { tcId, comment, msg = '', sig = '', result } of tests) {
      const der = ecdsaDer(Buffer.from(sig, 'hex').toString('base64url'), 32);
      const holds = der !== undefined && verify('sha256', Buffer.from(msg, 'hex'), key, der);
      expect([tcId, comment, holds]).toEqual([tcId, comment, result === 'valid']);
    }
  }
});

/** What the header says; of a text without one, an algorithm that is none. */
function algOf(jws: string): string {
  try {
    const header: unknown = JSON.parse(
      Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString(),
    );
    return isJsonObject(header) ? String(header['alg']) : 'none';
  } catch {
    return 'none';
  }
}
