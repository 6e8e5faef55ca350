/**
 * What a token exchange costs this process, against global `fetch` and a bare `node:http` agent; and how many
 * requests and connections the authorization server, another process, sees.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request as send } from 'node:http';
import { fileURLToPath } from 'node:url';
import { calls, interleave } from './lib/interleave.js';
import { accessToken, newKey } from './lib/mint.js';
import { again, compare, report } from './lib/report.js';

const { fetch, URLSearchParams } = globalThis;
const TARGET = 'https://api.example.com/calendar';
const SCOPE = 'calendar.read';
const FETCH = 'global fetch';
const BURST = 500;
const SOCKETS = 32;

const HEADERS = {
  accept: 'application/json',
  'content-type': 'application/x-www-form-urlencoded',
  authorization: `Basic ${Buffer.from('id:secret').toString('base64')}`,
};

if (process.argv[2] === 'server') authorizationServer();
else await measure();

/** Counts requests for tokens, and connections. */
function authorizationServer() {
  const counts = { requests: 0, connections: 0, mostAtOnce: 0 };
  let atOnce = 0;
  const { jwk } = newKey();
  const server = createServer((request, response) => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const answer = (body) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    request.resume().on('end', () => {
      if (request.url === '/jwks') return answer({ keys: [jwk] });
      if (request.url !== '/token') {
        const metadata = { issuer, jwks_uri: `${issuer}/jwks`, token_endpoint: `${issuer}/token` };
        return answer({ ...metadata, authorization_endpoint: `${issuer}/authorize` });
      }
      counts.requests++;
      return answer({
        access_token: String(counts.requests).padEnd(700, 'x'),
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 300,
        scope: SCOPE,
      });
    });
  });
  server.keepAliveTimeout = 65_000;
  server.on('connection', (socket) => {
    counts.connections++;
    counts.mostAtOnce = Math.max(counts.mostAtOnce, ++atOnce);
    socket.on('close', () => atOnce--);
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('message', () => {
    process.send({ ...counts });
    Object.assign(counts, { requests: 0, connections: 0, mostAtOnce: atOnce });
  });
  process.on('disconnect', () => process.exit());
}

async function measure() {
  const { AuthplaneClient } = await import(process.env.BENCH_CORE ?? 'authplane-nestjs/core');
  const server = fork(fileURLToPath(import.meta.url), ['server']);
  const [port] = await once(server, 'message');
  const issuer = `http://127.0.0.1:${port}`;
  const newClient = (at = issuer) =>
    AuthplaneClient.create({
      issuer: at,
      devMode: true,
      auth: { clientId: 'id', clientSecret: 'secret' },
      maxSockets: SOCKETS,
    });
  const countedBy = async (child) => {
    child.send('counts');
    const [counts] = await once(child, 'message');
    return counts;
  };

  const key = newKey();
  const subjects = Array.from({ length: 5000 }, (_, i) =>
    Buffer.from(accessToken(key, { claims: { sub: `user-${i}` } })),
  );
  let used = 0;
  /** Never one that was exchanged before. */
  const subject = () =>
    `${subjects[used % subjects.length].latin1Slice()}${'A'.repeat(1 + used++ / 5000)}`;
  const client = await newClient();
  const ours = (subjectToken) =>
    client.exchange({ subjectToken, resources: [TARGET], scope: SCOPE });
  const hot = subject();
  const { accessToken: first } = await ours(hot);
  assert.equal((await ours(hot)).accessToken, first);
  await assert.rejects(ours(''));
  assert.notEqual((await ours(subject())).accessToken, first);
  assert.equal((await countedBy(server)).requests, 2);

  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
  // So many until the engine has compiled what a call goes through: before, each costs twice as much.
  const atOnce = { atOnce: SOCKETS, sliceMs: 100, warmUp: 3000 };
  const slices = await interleave(
    {
      [FETCH]: calls(() => byFetch(issuer, subject()), atOnce),
      [again(FETCH)]: calls(() => byFetch(issuer, subject()), atOnce),
      [`node:http agent, ${SOCKETS} sockets`]: calls(
        () => byAgent(issuer, agent, subject()),
        atOnce,
      ),
      'exchange, distinct': calls(() => ours(subject()), atOnce),
      'exchange, cached': calls(() => ours(hot), { sliceMs: 40 }),
    },
    { rounds: process.env.FULL === '1' ? 21 : 7 },
  );
  const counters = {};
  const burst = async (name, list) => {
    const alone = fork(fileURLToPath(import.meta.url), ['server']);
    const [at] = await once(alone, 'message');
    const fresh = await newClient(`http://127.0.0.1:${at}`);
    await Promise.all(
      list.map((subjectToken) =>
        fresh.exchange({ subjectToken, resources: [TARGET], scope: SCOPE }),
      ),
    );
    counters[name] = await countedBy(alone);
    fresh.close();
    alone.disconnect();
  };
  await burst(`${BURST} identical at once`, Array(BURST).fill(subject()));
  await burst(`${BURST} distinct at once`, Array.from({ length: BURST }, subject));
  const rows = compare(slices, {
    base: FETCH,
    goals: { 'exchange, distinct': { most: 0.35 }, 'exchange, cached': { most: 0.05 } },
  });
  report('exchange', `Token exchange, ${SOCKETS} at once`, rows, { counters });
  for (const [name, { requests, mostAtOnce }] of Object.entries(counters)) {
    console.log(`${name}: ${requests} requests for tokens, ${mostAtOnce} connections at most`);
  }
  client.close();
  agent.destroy();
  server.disconnect();
}

function formOf(token) {
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: TARGET,
    scope: SCOPE,
  }).toString();
}

async function byFetch(issuer, token) {
  const init = { method: 'POST', headers: HEADERS, body: formOf(token) };
  return (await fetch(`${issuer}/token`, init)).json();
}

function byAgent(issuer, agent, token) {
  const body = formOf(token);
  const headers = { ...HEADERS, 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const outgoing = send(`${issuer}/token`, { method: 'POST', headers, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    });
    outgoing.on('error', reject).end(body);
  });
}
