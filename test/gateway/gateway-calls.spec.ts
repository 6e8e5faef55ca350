import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { closeAfter, GatewayCalls } from '../../src/gateway/gateway-calls.js';

const response = () => new ServerResponse(new IncomingMessage(new Socket()));
const nobody = new AbortController().signal;

describe('GatewayCalls', () => {
  test('counts answers that are under way, each once', () => {
    const calls = new GatewayCalls();
    const [one, two] = [response(), response()];
    for (const each of [one, two, one]) calls.begin(each, nobody);
    expect(calls.size).toBe(2);
    one.emit('close');
    expect(calls.size).toBe(1);
  });

  test('a call ends with its client', () => {
    const client = new AbortController();
    const signal = new GatewayCalls().begin(response(), client.signal);
    client.abort(new Error('gone'));
    expect(signal.reason).toMatchObject({ message: 'gone' });
  });

  test('stops at once where nothing runs', async () => {
    const calls = new GatewayCalls();
    expect(calls.isStopping).toBe(false);
    await calls.stop(60_000);
    expect(calls.isStopping).toBe(true);
    expect(calls.begin(response(), nobody).aborted).toBe(true);
  });

  test('lets running calls end, on connections that close', async () => {
    const calls = new GatewayCalls();
    const running = response();
    const signal = calls.begin(running, nobody);
    const stopped = calls.stop(60_000);
    expect([running.getHeader('connection'), signal.aborted]).toEqual(['close', false]);
    running.emit('close');
    await stopped;
  });

  test('and aborts those that take longer', async () => {
    const calls = new GatewayCalls();
    const signal = calls.begin(response(), nobody);
    await calls.stop(1);
    expect(signal.reason).toMatchObject({ message: 'the gateway is stopping' });
  });
});

test('closeAfter: where the head is sent, when the answer is', () => {
  const sent = response();
  const socket = new Socket();
  let isEnded = false;
  socket.end = () => ((isEnded = true), socket);
  Object.defineProperty(sent, 'socket', { value: socket });
  sent.writeHead(200);
  closeAfter(sent);
  expect(isEnded).toBe(false);
  sent.emit('finish');
  expect(isEnded).toBe(true);
});
