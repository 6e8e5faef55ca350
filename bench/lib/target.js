import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const CONNECTIONS = 32;
const APPLICATION = fileURLToPath(new URL('../http-app.js', import.meta.url));

/** One connection that asks for one thing after the other. */
export class Connection {
  #socket;
  #answered = () => undefined;
  #head = '';
  #missing = 0;
  #isChunked = false;
  #tail = '';

  async open(port) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay(true);
    this.#socket.on('data', (data) => this.#read(data));
    await once(this.#socket, 'connect');
  }

  /** @returns the status. */
  ask(request) {
    this.#head = '';
    this.#missing = Infinity;
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #read(data) {
    let rest = data;
    if (this.#missing === Infinity) {
      this.#head += data.latin1Slice();
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /content-length: (\d+)/i.exec(this.#head.slice(0, end))?.[1];
      this.#isChunked = length === undefined;
      rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
      this.#missing = Number(length ?? 0);
      this.#tail = '';
    }
    this.#missing -= rest.length;
    this.#tail = (this.#tail + rest.subarray(-7).latin1Slice()).slice(-7);
    const isOver = this.#isChunked ? this.#tail.endsWith('0\r\n\r\n') : this.#missing === 0;
    if (isOver) this.#answered(Number(this.#head.slice(9, 12)));
  }
}

/**
 * An application of `http-app.js` that runs in a process of its own, and the load on it. `request` are the bytes that
 * are sent, or a function that gives them, for what can be used once.
 */
export class Target {
  #process;
  #connections = [];
  #idle = [];
  #waiting = [];

  constructor(
    variant,
    request,
    { count = 1200, expect = [201, 200], connections = CONNECTIONS, env = {} } = {},
  ) {
    Object.assign(this, { variant, count, expect, connections, env });
    this.next = typeof request === 'function' ? request : () => request;
  }

  async start() {
    this.#process = fork(APPLICATION, [this.variant], {
      env: { ...process.env, ...this.env },
    });
    const [{ port }] = await once(this.#process, 'message');
    this.port = port;
    this.#connections = Array.from({ length: this.connections }, () => new Connection());
    await Promise.all(this.#connections.map((one) => one.open(port)));
    await this.slice();
    this.#idle = [...this.#connections];
  }

  slice = async () => {
    let left = this.count;
    const before = { wall: performance.now(), ...(await this.cpu()) };
    await Promise.all(
      this.#connections.map(async (connection) => {
        while (left-- > 0) {
          const status = await connection.ask(this.next());
          assert.ok(this.expect.includes(status), `${this.variant} answered ${status}`);
        }
      }),
    );
    const wall = ((performance.now() - before.wall) * 1000) / this.count;
    const { main, process: all } = await this.cpu();
    return {
      wall,
      main: (main - before.main) / this.count,
      process: (all - before.process) / this.count,
    };
  };

  /** Asks for one thing over whichever connection is free next. */
  async askInTurn() {
    const request = this.next();
    const connection = this.#idle.pop() ?? (await new Promise((free) => this.#waiting.push(free)));
    const status = await connection.ask(request);
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(connection);
    else next(connection);
    assert.ok(this.expect.includes(status), `${this.variant} answered ${status}`);
  }

  stop() {
    for (const connection of this.#connections) connection.close();
    this.#process.disconnect();
  }

  async cpu() {
    this.#process.send('cpu');
    const [cpu] = await once(this.#process, 'message');
    return cpu;
  }
}
