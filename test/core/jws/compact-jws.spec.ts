import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { MAX_PROOF_LENGTH, parseCompactJws } from '../../../src/core/jws/compact-jws.js';
import { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import {
  InvalidClaimsError,
  InvalidSignatureError,
  TokenTooLongError,
} from '../../../src/core/errors/token-errors.js';
import { base64url } from '../../support/tokens/keys-and-tokens.js';
import { expectRefusal } from '../../support/tokens/refusals.js';

const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: 'k' };
const jws = (header: unknown, claims: unknown = {}, signature = 'AAAA') =>
  `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}.${signature}`;

describe('the compact form', () => {
  it('RFC 7515 §7.1: header and claims of three canonical segments', () => {
    const token = jws({ ...HEADER, extra: 1 }, { sub: 'a' });
    const parsed = parseCompactJws(token);
    expect(parsed).toMatchObject({ ...HEADER, header: { ...HEADER, extra: 1 } });
    expect(parsed.claims()).toEqual({ sub: 'a' });
  });

  it.each([undefined, 1024, 16_384])('G15: %p characters are the longest', async (maxLength) => {
    const start = jws(HEADER, { filler: 'xx' }, '');
    const filled = (length: number) => start + 'A'.repeat(length - start.length);
    const longest = maxLength ?? MAX_PROOF_LENGTH;
    const rules = maxLength === undefined ? {} : { maxLength };
    expect((longest - start.length) % 4).not.toBe(1);
    expect(parseCompactJws(filled(longest), rules).alg).toBe('ES256');
    await expectRefusal(
      () => parseCompactJws(filled(longest + 1), rules),
      TokenTooLongError,
      new RegExp(`longer than ${longest} `),
    );
  });

  it.each([
    'abc',
    'an-opaque-token-of-some-server',
    'v4.public.eyJzdWIiOiJhIn0',
    'v2.local.AAAA.AAAA',
    'ya29.a0AfH6SM.x',
  ])('9.20: an opaque token is called one, and how to get others: %s', async (token) => {
    await expectRefusal(
      () => parseCompactJws(token),
      InvalidSignatureError,
      /opaque tokens and other formats cannot be verified here: have the authorization server/,
    );
  });

  it.each(['', '.', '..', 'AAAA', 'AAAA.AAAA', 'AAAA.AAAA.', '.AAAA.AAAA', 'AAAA..AAAA'])(
    'fewer than three segments are refused: "%s"',
    async (text) => {
      await expectRefusal(() => parseCompactJws(text), InvalidSignatureError, /three segments/);
    },
  );

  it.each(['.', '.AAAA', '.AAAA.AAAA', '.'.repeat(100)])(
    'more than three segments are refused: …%s',
    async (more) => {
      const token = jws(HEADER) + more;
      await expectRefusal(() => parseCompactJws(token), InvalidSignatureError, /three segments/);
    },
  );

  it('RFC 4648 §3.5: of all spellings of one byte string, only the canonical one passes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(63), (bytes, index) => {
        const canonical = base64url(bytes);
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const respelt = canonical.slice(0, -1) + (alphabet[index] ?? '');
        expect(parseCompactJws(jws(HEADER, {}, canonical)).alg).toBe('ES256');
        const sameBytes = Buffer.from(respelt, 'base64url').equals(Buffer.from(bytes));
        if (respelt === canonical || !sameBytes) return;
        expect(() => parseCompactJws(jws(HEADER, {}, respelt))).toThrow(InvalidSignatureError);
      }),
      { numRuns: 3000 },
    );
  });

  it('RFC 4648 §5: a length that no bytes have is refused', async () => {
    for (const segment of ['A', 'AAAAA']) {
      const token = jws(HEADER, {}, segment);
      await expectRefusal(() => parseCompactJws(token), InvalidSignatureError, /canonical/);
    }
  });

  it.each(['AA==', 'AAA=', 'AA AA', 'AAAA\n', '\nAAAA', 'AA+A', 'AA/A', 'AA\u0410A', 'AA%41'])(
    'RFC 7515 §2: %j is no segment',
    async (segment) => {
      const token = jws(HEADER, {}, segment);
      await expectRefusal(() => parseCompactJws(token), InvalidSignatureError, /canonical/);
    },
  );

  it('P10: any text is parsed or refused with one of two typed errors', () => {
    const segment = fc.string({ unit: fc.constantFrom(...'AQgw-_=+. e{}"\n'), maxLength: 12 });
    const text = fc.oneof(
      fc.string(),
      fc.array(segment).map((parts) => parts.join('.')),
    );
    fc.assert(
      fc.property(text, (token) => {
        try {
          parseCompactJws(token);
        } catch (error) {
          expect(error).toBeInstanceOf(AuthplaneError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('the header', () => {
  it.each(['crit', 'b64', 'jku', 'jwk', 'x5u', 'x5c', 'zip', 'enc', 'cty'])(
    'RFC 8725 §3.10: the member %s is refused whatever its value, and only while it is unexpected',
    async (name) => {
      for (const value of ['x', null, [], {}, false, true]) {
        const token = jws({ ...HEADER, [name]: value });
        const refused = new RegExp(`member ${name},`);
        await expectRefusal(() => parseCompactJws(token), InvalidClaimsError, refused);
        expect(parseCompactJws(token, { expectedHeaders: [name] }).header[name]).toEqual(value);
      }
    },
  );

  it('an expected header lets no other one through', async () => {
    const token = jws({ ...HEADER, jwk: {}, jku: 'https://x' });
    await expectRefusal(
      () => parseCompactJws(token, { expectedHeaders: ['jwk'] }),
      InvalidClaimsError,
      /member jku,/,
    );
  });

  it('RFC 7515 §4.1.1: alg is required, typ and kid are not', async () => {
    expect(parseCompactJws(jws({ alg: 'ES256' }))).toMatchObject({
      typ: undefined,
      kid: undefined,
    });
    const token = jws({ typ: 'at+jwt', kid: 'k' });
    await expectRefusal(() => parseCompactJws(token), InvalidClaimsError, /no alg/);
  });

  it.each(['alg', 'typ', 'kid'])('%s must be a string of 1 to 256 characters', async (name) => {
    expect(parseCompactJws(jws({ ...HEADER, [name]: 'x'.repeat(256) }))).toBeDefined();
    for (const value of ['', 'x'.repeat(257), 1, null, true, ['x'], { x: 1 }]) {
      const token = jws({ ...HEADER, [name]: value });
      const refused = new RegExp(`member ${name} must be a string`);
      await expectRefusal(() => parseCompactJws(token), InvalidClaimsError, refused);
    }
  });

  it('T10: nothing is inherited from a __proto__ member', async () => {
    const text = '{"__proto__":{"alg":"ES256","typ":"at+jwt","kid":"k","jku":"x"}}';
    await expectRefusal(
      () => parseCompactJws(`${base64url(text)}.AAAA.AAAA`),
      InvalidClaimsError,
      /no alg/,
    );
    const withAlg = `{"alg":"ES256",${text.slice(1)}`;
    const parsed = parseCompactJws(`${base64url(withAlg)}.AAAA.AAAA`);
    expect(parsed).toMatchObject({ typ: undefined, kid: undefined });
  });
});

describe('the claims', () => {
  it('are not looked at before somebody asks', async () => {
    const parsed = parseCompactJws(`${base64url(JSON.stringify(HEADER))}.AAAA.AAAA`);
    await expectRefusal(() => parsed.claims(), InvalidClaimsError, /claims: not valid JSON/);
  });

  it.each([
    ['[]', /claims: not a JSON object/],
    ['{"a":1,"a":2}', /claims: a member is named twice/],
    ['["'.repeat(3), /claims: not valid JSON/],
    ['['.repeat(40), /claims: nested too deeply/],
  ])('%s is refused', async (text, message) => {
    const token = `${base64url(JSON.stringify(HEADER))}.${base64url(text)}.AAAA`;
    await expectRefusal(() => parseCompactJws(token).claims(), InvalidClaimsError, message);
  });
});
