import { describe, expect, it } from 'vitest';
import { parseCompactJws } from '../../../src/core/jws/compact-jws.js';
import { KnownHeaders } from '../../../src/core/jws/known-headers.js';

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const jws = (header: object) => `${encoded(header)}.${encoded({})}.AAAA`;

describe('13.3: KnownHeaders', () => {
  it('serve a header that was read before, and only by its whole text', () => {
    const headers = new KnownHeaders();
    const first = parseCompactJws(jws({ alg: 'ES256', kid: 'a' }), { headers });
    expect(headers.get(first.encodedHeader)).toBeUndefined(); // nobody has verified it
    headers.remember(first);
    const second = parseCompactJws(jws({ alg: 'ES256', kid: 'a' }), { headers });
    expect(second.header).toBe(first.header);
    expect(parseCompactJws(jws({ alg: 'ES256', kid: 'b' }), { headers }).kid).toBe('b');
  });

  it('are bounded in number and length', () => {
    const headers = new KnownHeaders();
    const remember = (kid: string) => headers.remember(parseCompactJws(jws({ alg: 'ES256', kid })));
    for (let i = 0; i < 2000; i++) remember(`kid-${i}`);
    expect(headers.size).toBeLessThanOrEqual(256);
    const before = headers.size;
    const header = { alg: 'ES256', kid: 'a', more: 'x'.repeat(2000) };
    headers.remember(parseCompactJws(jws(header)));
    expect(headers.size).toBe(before);
  });
});
