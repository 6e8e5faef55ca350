import { beforeEach, describe, expect, it } from 'vitest';
import { ThrownErrors } from '../../../src/mcp/sdk/thrown-errors.js';
import { JsonRpcError } from '../../../src/nest/refusals/json-rpc-error.js';

// The SDKs themselves are met in with-consent.spec.ts.

const error = new JsonRpcError({
  code: -32042,
  message: 'open this',
  data: { url: 'x' },
  cause: undefined,
});
const told = (id: string | number) => ({
  ...{ jsonrpc: '2.0', id, error: { code: -32042, message: 'open this', data: { url: 'x' } } },
});
const answer = (id: string | number) => ({ jsonrpc: '2.0', id, result: { isError: true } });

describe('ThrownErrors', () => {
  let sent: unknown[];
  let thrown: ThrownErrors;
  const transport = () => ({
    send(message: unknown, ...rest: unknown[]) {
      sent.push(rest.length === 0 ? message : [message, ...rest]);
    },
  });
  /** What is sent through a protocol that is connected now. */
  function connected() {
    const own = transport();
    const protocol = { connect: (given: object) => given };
    thrown.watch(protocol);
    expect(protocol.connect(own)).toBe(own);
    return own;
  }

  beforeEach(() => {
    sent = [];
    thrown = new ThrownErrors();
  });

  it('the next answer to the request is the error, and only that one', () => {
    const { send } = connected();
    thrown.remember(error, { requestId: 1, signal: undefined });
    for (const id of [2, '1', 1, 1]) send(answer(id));
    expect(sent).toEqual([answer(2), answer('1'), told(1), answer(1)]);
  });

  it('what else has the id of the request is left alone', () => {
    const { send } = connected();
    thrown.remember(error, { requestId: 1, signal: undefined });
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    send(ping);
    send(answer(1));
    expect(sent).toEqual([ping, told(1)]);
  });

  it('an error that the server has made itself stays', () => {
    const { send } = connected();
    thrown.remember(error, { requestId: 1, signal: undefined });
    const own = { jsonrpc: '2.0', id: 1, error: { code: -32603, message: 'x' } };
    send(own);
    expect(sent).toEqual([own]);
  });

  it('what the transport is told besides goes along', () => {
    const { send } = connected();
    thrown.remember(error, { requestId: 1, signal: undefined });
    send(answer(1), { relatedRequestId: 1 });
    expect(sent).toEqual([[told(1), { relatedRequestId: 1 }]]);
  });

  it('a transport that is there already is watched as well', () => {
    const own = transport();
    thrown.watch({ connect: () => undefined, transport: own });
    thrown.remember(error, { requestId: 'a', signal: undefined });
    own.send(answer('a'));
    expect(sent).toEqual([told('a')]);
  });

  it('nothing is kept where nothing will be sent', () => {
    const { send } = connected();
    const cancelled = new AbortController();
    thrown.remember(error, { requestId: 1, signal: cancelled.signal });
    cancelled.abort();
    thrown.remember(error, { requestId: 2, signal: cancelled.signal });
    thrown.remember(error, { requestId: undefined, signal: undefined });
    send(answer(1));
    send(answer(2));
    expect(sent).toEqual([answer(1), answer(2)]);
  });

  it('what is no protocol is left as it is', () => {
    expect(() => thrown.watch({ transport: transport() })).not.toThrow();
    const protocol = { connect: () => 'connected' };
    thrown.watch(protocol);
    expect((protocol.connect as (transport: unknown) => unknown)(undefined)).toBe('connected');
  });
});
