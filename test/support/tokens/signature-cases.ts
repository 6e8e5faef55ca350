import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { compactVerify } from 'jose';
import {
  InvalidClaimsError,
  InvalidSignatureError,
} from '../../../src/core/errors/token-errors.js';
import { parseCompactJws } from '../../../src/core/jws/compact-jws.js';
import { signatureVerdict, type VerificationForm } from '../../../src/core/jws/jws-signature.js';
import { base64url, signatureOf } from './keys-and-tokens.js';

/** Generated signatures, for comparing what we say of them with what jose says. */

interface Signer {
  readonly algs: readonly string[];
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

interface Signed {
  readonly alg: string;
  readonly input: string;
  readonly signature: Buffer;
  readonly signer: Signer;
}

/** What was verified, by which key, and with which change. */
export interface SignatureCase {
  readonly change: string;
  readonly text: string;
  readonly alg: string;
  readonly key: KeyObject;
}

export type Verdict = 'accepted' | 'refused';
export type Random = () => number;

/** Orders of the curves, for numbers that are just not in their range. */
const ORDERS: Readonly<Record<string, bigint>> = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES384:
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ES512:
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
};
const ED25519_ORDER = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;

const ec = (namedCurve: string, alg: string): Signer => ({
  algs: [alg],
  ...generateKeyPairSync('ec', { namedCurve }),
});
const rsa = (modulusLength: number): Signer => ({
  algs: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...generateKeyPairSync('rsa', { modulusLength }),
});
const ed25519 = (): Signer => ({
  algs: ['EdDSA', 'Ed25519'],
  ...generateKeyPairSync('ed25519'),
});

export class SignatureCases {
  readonly #random: Random;
  /** Quick ones more often. */
  readonly #signers = [
    ...[ec('P-256', 'ES256'), ec('P-256', 'ES256'), ed25519(), ed25519(), rsa(2048), rsa(2048)],
    ...[rsa(2048), rsa(3072)],
  ];
  readonly #slow = [ec('P-384', 'ES384'), ec('P-521', 'ES512')];
  readonly #pool: readonly Signed[];

  constructor(random: Random, size: number) {
    this.#random = random;
    this.#pool = Array.from({ length: size }, (_, i) => this.#sign(i));
  }

  next(): SignatureCase {
    const signed = this.#any(this.#pool);
    const [change, make] = this.#any(CHANGES);
    const { input = signed.input, signature = signed.signature, ...more } = make(signed, this);
    return {
      change,
      text: more.text ?? `${input}.${base64url(signature)}`,
      alg: signed.alg,
      key: more.key ?? signed.signer.publicKey,
    };
  }

  number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.number(256)));
  }

  other(): Signed {
    return this.#any(this.#pool);
  }

  #any<T>(list: readonly T[]): T {
    const one = list[this.number(list.length)];
    if (one === undefined) throw new RangeError('an empty list');
    return one;
  }

  #sign(i: number): Signed {
    const signer = this.#any(i % 25 === 0 ? this.#slow : this.#signers);
    const alg = this.#any(signer.algs);
    const claims = JSON.stringify({ jti: i, more: 'x'.repeat(this.number(60)) });
    const input = `${base64url(JSON.stringify({ alg, kid: 'k' }))}.${base64url(claims)}`;
    return { alg, input, signer, signature: signatureOf(input, signer.privateKey, alg) };
  }
}

interface Changed {
  readonly input?: string;
  readonly signature?: Buffer;
  readonly key?: KeyObject;
  readonly text?: string;
}

type Change = (signed: Signed, cases: SignatureCases) => Changed;

const CHANGES: readonly (readonly [string, Change])[] = [
  ['none', () => ({})],
  ['bits of the signature', ({ signature }, cases) => ({ signature: flipped(signature, cases) })],
  ['bits of the claims', ({ input }, cases) => ({ input: withOtherClaims(input, cases) })],
  ['a key of somebody else', (_signed, cases) => ({ key: cases.other().signer.publicKey })],
  ['the signature of another', (_signed, cases) => ({ signature: cases.other().signature })],
  ['shorter', ({ signature }, cases) => ({ signature: signature.subarray(cases.number(5) + 1) })],
  [
    'cut at the end',
    ({ signature }, cases) => ({
      signature: signature.subarray(0, Math.max(1, signature.length - 1 - cases.number(40))),
    }),
  ],
  [
    'longer',
    ({ signature }, cases) => ({
      signature: Buffer.concat([signature, cases.bytes(1 + cases.number(4))]),
    }),
  ],
  [
    'zeros in front',
    ({ signature }) => ({ signature: Buffer.concat([Buffer.alloc(1), signature]) }),
  ],
  ['random bytes', ({ signature }, cases) => ({ signature: cases.bytes(signature.length) })],
  ['zeros', ({ signature }) => ({ signature: Buffer.alloc(signature.length) })],
  ['ones', ({ signature }) => ({ signature: Buffer.alloc(signature.length, 255) })],
  ['numbers at the edge', (signed, cases) => ({ signature: atTheEdge(signed, cases) })],
  ['the other number', (signed) => ({ signature: otherNumber(signed) })],
  ['numbers changed places', ({ signature }) => ({ signature: halvesChanged(signature) })],
  ['in DER', (signed) => ({ signature: inDer(signed) })],
  ['another hash or padding', (signed, cases) => ({ signature: otherwiseSigned(signed, cases) })],
  ['text', ({ input, signature }, cases) => ({ text: respelt(input, signature, cases) })],
];

function flipped(bytes: Buffer, cases: SignatureCases): Buffer {
  const changed = Buffer.from(bytes);
  const at = cases.number(changed.length);
  changed[at] = (changed[at] ?? 0) ^ (1 << cases.number(8));
  return changed;
}

function withOtherClaims(input: string, cases: SignatureCases): string {
  const [header = '', claims = ''] = input.split('.');
  return `${header}.${base64url(flipped(Buffer.from(claims, 'base64url'), cases))}`;
}

function halves(signature: Buffer): [Buffer, Buffer] {
  const middle = signature.length / 2;
  return [signature.subarray(0, middle), signature.subarray(middle)];
}

function halvesChanged(signature: Buffer): Buffer {
  const [first, second] = halves(signature);
  return Buffer.concat([second, first]);
}

function numberBytes(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex').subarray(-length);
}

function atTheEdge({ alg, signature }: Signed, cases: SignatureCases): Buffer {
  const order = ORDERS[alg];
  const length = signature.length / 2;
  if (order === undefined)
    return Buffer.concat([signature.subarray(0, length), Buffer.alloc(length)]);
  const edge = () =>
    numberBytes([0n, 1n, order - 1n, order, order + 1n][cases.number(5)] ?? 0n, length);
  const [first, second] = halves(signature);
  return Buffer.concat([
    cases.number(2) === 0 ? edge() : first,
    cases.number(2) === 0 ? edge() : second,
  ]);
}

/** `n - s` of ECDSA, which is as good; `S + L` of Ed25519, which is not. */
function otherNumber({ alg, signature }: Signed): Buffer {
  const [first, second] = halves(signature);
  const order = ORDERS[alg];
  if (order !== undefined) {
    const twin = order - BigInt(`0x${second.toString('hex')}`);
    return Buffer.concat([first, numberBytes(twin, second.length)]);
  }
  if (!alg.startsWith('Ed')) return Buffer.from(signature).reverse();
  const little = BigInt(`0x${Buffer.from(second).reverse().toString('hex')}`) + ED25519_ORDER;
  return Buffer.concat([first, numberBytes(little, second.length).reverse()]);
}

function inDer({ alg, input, signer, signature }: Signed): Buffer {
  if (!alg.startsWith('ES'))
    return Buffer.concat([Buffer.from([0x30, signature.length]), signature]);
  return sign(`sha${alg.slice(2)}`, Buffer.from(input), signer.privateKey);
}

function otherwiseSigned(signed: Signed, cases: SignatureCases): Buffer {
  const { alg, input, signer } = signed;
  const data = Buffer.from(input);
  const key = signer.privateKey;
  if (alg.startsWith('Ed')) return sign(null, Buffer.concat([data, data]), key);
  if (alg.startsWith('ES')) return sign('sha1', data, { key, dsaEncoding: 'ieee-p1363' });
  const saltLength = [0, 20, 32, 48, 64][cases.number(5)] ?? 0;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const hash = ['sha256', 'sha384', 'sha512', 'sha1'][cases.number(4)];
  return alg.startsWith('PS') || cases.number(2) === 0
    ? sign(hash, data, { key, padding, saltLength })
    : sign(hash, data, key);
}

/** Another text, of which some readers make the same bytes. */
function respelt(input: string, signature: Buffer, cases: SignatureCases): string {
  const text = `${input}.${base64url(signature)}`;
  const at = cases.number(text.length);
  const put = (more: string) => text.slice(0, at) + more + text.slice(at);
  switch (cases.number(8)) {
    case 0:
      return `${text}${'='.repeat(1 + cases.number(2))}`;
    case 1:
      return put([' ', '\n', '\t', '=', '.', '\0', 'é', '%'][cases.number(8)] ?? '');
    case 2:
      return text.replaceAll('-', '+').replaceAll('_', '/');
    case 3:
      return text.slice(0, -1) + ('ABCDEFGHIJKLMNOP'[cases.number(16)] ?? '');
    case 4:
      return withHeader(text, input, { b64: true, crit: ['b64'] });
    case 5:
      return withHeader(text, input, { jwk: {}, typ: 'x' });
    case 6:
      return text.split('.').slice(0, 2).join('.');
    default:
      return put('A');
  }
}

/** Of another header, under which the signature no longer is one. */
function withHeader(text: string, input: string, more: object): string {
  const [header = ''] = input.split('.');
  const members = JSON.parse(Buffer.from(header, 'base64url').toString()) as object;
  return text.replace(header, base64url(JSON.stringify({ ...members, ...more })));
}

export async function verdictOfJose({ text, key, alg }: SignatureCase): Promise<Verdict> {
  return compactVerify(text, key, { algorithms: [alg] }).then(
    () => 'accepted',
    () => 'refused',
  );
}

/** By our grammar first, as everywhere in the package. */
export async function verdictOfOurs(
  { text, key, alg }: SignatureCase,
  form: VerificationForm,
): Promise<Verdict> {
  try {
    const jws = parseCompactJws(text);
    if (jws.alg !== alg) return 'refused';
  } catch (error) {
    if (error instanceof InvalidSignatureError || error instanceof InvalidClaimsError) {
      return 'refused';
    }
    throw error;
  }
  return (await signatureVerdict(text, key, { alg, form })) === 'holds' ? 'accepted' : 'refused';
}

export interface Comparison {
  readonly accepted: number;
  /** Of text that we do not read although jose does. */
  readonly stricter: number;
  /** What must not be. */
  readonly wrong: readonly string[];
}

/** Each case by jose and by ours, some at a time. */
export async function compareWithJose(
  cases: SignatureCases,
  count: number,
  form: VerificationForm,
): Promise<Comparison> {
  const found = { accepted: 0, stricter: 0, wrong: [] as string[] };
  for (let done = 0; done < count; done += 100) {
    const some = Array.from({ length: Math.min(100, count - done) }, () => cases.next());
    const jose = await Promise.all(some.map(verdictOfJose));
    const ours = await Promise.all(some.map((one) => verdictOfOurs(one, form)));
    for (const [i, one] of some.entries()) {
      if (ours[i] === 'accepted') found.accepted++;
      if (ours[i] === jose[i]) continue;
      if (one.change === 'text' && ours[i] === 'refused') found.stricter++;
      else found.wrong.push(`${one.change}: ours ${ours[i]}, jose ${jose[i]}: ${one.text}`);
    }
  }
  return found;
}
