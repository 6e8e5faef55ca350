/** What a signature algorithm demands of its key (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). */
export interface AlgorithmRule {
  readonly kty: 'EC' | 'RSA' | 'OKP';
  readonly crv?: string;
}

const ec = (crv: string): AlgorithmRule => ({ kty: 'EC', crv });
const rsa: AlgorithmRule = { kty: 'RSA' };
const ed25519: AlgorithmRule = { kty: 'OKP', crv: 'Ed25519' };

/** Asymmetric signatures only: a resource server never shares a secret with the issuer. */
const rules: ReadonlyMap<string, AlgorithmRule> = new Map([
  ['ES256', ec('P-256')],
  ['ES384', ec('P-384')],
  ['ES512', ec('P-521')],
  ['RS256', rsa],
  ['RS384', rsa],
  ['RS512', rsa],
  ['PS256', rsa],
  ['PS384', rsa],
  ['PS512', rsa],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
]);

export const SUPPORTED_ALGORITHMS: readonly string[] = [...rules.keys()];

/** Of keys that make one of these signatures. */
export const CURVES: readonly string[] = [
  ...new Set([...rules.values()].flatMap(({ crv }) => crv ?? [])),
];

export const DEFAULT_ALGORITHMS: readonly string[] = ['ES256', 'RS256', 'PS256', 'EdDSA'];

/** Two names of one algorithm: with keys of Ed25519 only, `EdDSA` means nothing else (RFC 9864 §2.2). */
const ED25519_NAMES: readonly string[] = ['EdDSA', 'Ed25519'];

export function isSameAlgorithm(one: unknown, other: string): boolean {
  return one === other || (ED25519_NAMES.includes(other) && ED25519_NAMES.includes(one as string)); // any type compares
}

/** Whether the list names this algorithm, by whichever name. */
export function isAllowedAlgorithm(alg: string, allowed: readonly string[]): boolean {
  return allowed.some((one) => isSameAlgorithm(one, alg));
}

export function algorithmRule(alg: string): AlgorithmRule | undefined {
  return rules.get(alg);
}

/** Whether keys of this type make signatures of this algorithm. */
export function isKeyFor(
  { kty, crv }: { readonly kty?: string | undefined; readonly crv?: string | undefined },
  alg: string,
): boolean {
  const rule = algorithmRule(alg);
  return rule !== undefined && kty === rule.kty && (rule.crv === undefined || crv === rule.crv);
}
