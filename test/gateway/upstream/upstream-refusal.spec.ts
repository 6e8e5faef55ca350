import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { exchange } from 'authplane-nestjs/gateway';
import { InsufficientScopeError } from '../../../src/core/errors/token-errors.js';
import { UpstreamNames } from '../../../src/gateway/names/upstream-names.js';
import { resolveUpstream } from '../../../src/gateway/options/upstream-options.js';
import { refusal } from '../../../src/gateway/upstream/upstream-refusal.js';
import { holdTimers } from '../../support/time/held-timers.js';
import { RpcError, UpstreamError } from '../../../src/gateway/wire/gateway-errors.js';

const options = resolveUpstream('cal', {
  url: 'https://a.example.com/mcp',
  token: exchange({ scope: 'cal.read' }),
  tools: { write: { scopes: ['gw:write'], token: exchange({ scope: 'cal.write' }) } },
});
const upstream = {
  ...{ name: 'cal', options, names: new UpstreamNames(options, 64) },
  error: (code: 'upstream_failed', reason: string, details: object) =>
    new UpstreamError(reason, { code, upstream: 'cal', ...details }),
};
const destination = { upstream, item: { verdict: { token: undefined, timeoutMs: undefined } } };
const caller = { token: 't', claims: { hasScope: () => false } };

function refused(status: number, text = '', challenge?: string): Promise<Error> {
  const headers = challenge === undefined ? {} : { 'www-authenticate': challenge };
  const body = Object.assign(Readable.from([Buffer.from(text)]), { headers });
  return refusal(destination as never, { status, body, isEvents: false } as never, caller as never);
}

const asks = (scope: string) => `Bearer error="insufficient_scope", scope="${scope}"`;

describe('what a 4xx of an upstream means', () => {
  test('a scope of the gateway that the caller lacks', async () => {
    const error = await refused(403, '', asks('cal.write'));
    expect(error).toBeInstanceOf(InsufficientScopeError);
    expect(error).toMatchObject({ requiredScopes: ['gw:write'] });
  });

  test('a scope that nothing here stands for is no matter of the caller’s', async () => {
    expect(await refused(403, '', asks('other'))).toMatchObject({
      ...{ code: 'upstream_refused', message: 'it answers insufficient_scope' },
      maybeExecuted: false,
    });
    const elsewhere = await refused(400, '', asks('cal.write'));
    expect(elsewhere).toMatchObject({ code: 'upstream_failed' });
  });

  test('an error of JSON-RPC that it states, with its status', async () => {
    const error = { code: -32001, message: 'no session', data: { a: 1 } };
    const stated = await refused(404, JSON.stringify({ jsonrpc: '2.0', id: 1, error }));
    expect(stated).toBeInstanceOf(RpcError);
    expect(stated).toMatchObject({ status: 404, rpc: error });
    const bare = await refused(403, JSON.stringify({ jsonrpc: '2.0', error: {} }));
    expect(bare).toMatchObject({ status: 403, rpc: { code: -32603, message: '' } });
  });

  test.each(['', 'Not found', '{}', '{"error":{"code":1}}', '{"jsonrpc":"2.0","error":"x"}'])(
    'anything else is a failure: %j',
    async (text) => {
      expect(await refused(404, text)).toMatchObject({
        ...{ code: 'upstream_failed', status: 404 },
        message: 'it answers 404 without a JSON-RPC message',
      });
    },
  );

  test('14.8b: one whose text does not end is not waited for', async () => {
    const held = holdTimers(5_000);
    const body = Object.assign(new Readable({ read: () => undefined }), { headers: {} });
    body.push('{"jsonrpc":"2.0",');
    const reply = { status: 400, body, isEvents: false };
    const refusing = refusal(destination as never, reply as never, caller as never);
    await held.fire(1);
    expect(await refusing).toMatchObject({ code: 'upstream_failed', status: 400 });
    expect(body.destroyed).toBe(true);
  });
});
