import { describe, expect, it } from 'vitest';
import * as outbound from '../../../src/core/http/errors.js';

const HOST = 'as.example.com:8443';

const failures = [
  outbound.refusedUrlError(new URL(`https://${HOST}/x?secret=canary`), 'has port 0; correct it'),
  outbound.refusedAddressError(`10.0.0.1 of ${HOST}`, 'private, RFC 1918', true),
  outbound.notAnAddressError(HOST),
  outbound.noAddressError(HOST),
  outbound.redirectError(HOST, 302),
  outbound.contentEncodingError(HOST),
  outbound.tooLargeError(HOST, 262_144),
  outbound.timeoutError(HOST, 5_000),
  outbound.closedError(HOST),
];

describe('a failure of an outbound request', () => {
  it.each(failures)('$reason: $message', (error) => {
    expect(error).toBeInstanceOf(outbound.OutboundHttpError);
    expect(error.code).toBe('outbound_http_error');
    expect(error.message).toContain(HOST);
    expect(error.message).not.toContain('canary');
  });

  it.each(failures)('advises no option that an application cannot set: $message', ({ message }) => {
    expect(message).not.toMatch(/maxBytes|timeoutMs|maxSockets|lookup option/);
  });

  it('of size or time names the limit and what can be done', () => {
    expect(outbound.tooLargeError(HOST, 262_144).message).toMatch(
      /262144 bytes; check that the URL/,
    );
    expect(outbound.timeoutError(HOST, 5_000).message).toMatch(
      /5000 ms; check it .* the fetch option/,
    );
  });
});
