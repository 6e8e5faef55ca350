/**
 * What `docs/performance.md` says of each goal: its name there and, for the time it is missed, what a profile shows in
 * the way. The goals themselves stand where they are measured.
 */
export const MEASURED = [
  {
    table: 'http-request',
    row: 'no guard on the route',
    what: 'a route without a guard, added',
    why: 'Nothing of ours runs for it: hooks, layers and handler are those of an application without the module.',
  },
  {
    table: 'http-request',
    row: 'token seen before',
    what: ['token seen before, plain controller, added', 'the same, throughput against unguarded'],
    why:
      'Nest waits for the guards of a route (2 to 3 µs). The decision takes 2 to 3 µs in a loop, the head of the ' +
      'answer with it, and three times that between two requests, when little of it is left in the caches of the ' +
      'processor: no single part of it is worth more than half a microsecond.',
  },
  {
    table: 'http-mcp',
    row: 'token seen before',
    what: ['token seen before, a decision for each tool, added', 'the same, throughput'],
    why:
      'The same, 4 to 5 µs in a loop: what the message asks for is read from the parsed body and judged, and the ' +
      'head and each piece of the answer are looked at for sessions and events.',
  },
  {
    table: 'http-batch',
    row: 'token seen before',
    what: 'a batch of 50 calls, added',
    why:
      'Fifty calls are read and decided one by one, at half a microsecond each: a name has to be an own member and ' +
      'a text, a task may be named beside it, and the scopes of each are looked up.',
  },
  {
    table: 'http-list',
    row: '500 hidden',
    what: 'a list of 1,000 tools with 500 hidden, to `JSON.stringify` and `JSON.parse` of it',
    why: 'The answer is parsed, filtered and written again, and its length set.',
  },
  {
    table: 'http-request',
    row: 'no credentials',
    what: 'no credentials (401), added',
    why:
      'A refusal is an exception: Nest throws it on through three promises to its filters, which alone takes 2 to 3 µs. ' +
      'The answer is written once for all; what is made for each is the error, the exception that stands for it in ' +
      'filters, the event, and what has been noted of the request by then.',
  },
  {
    table: 'http-mcp',
    row: 'no credentials, earlyRefusal',
    what: 'no credentials with `earlyRefusal`, throughput against unguarded',
    why:
      'The connection goes on and the body is only skipped. What counts is that Fastify has made request and reply ' +
      'by then and still serialises the answer: a bare hook that answers with the same headers comes to 1.4 x. The rest ' +
      'is the error for the event and the log, and what the adapter of Nest asks of the answer.',
  },
  {
    table: 'verify-ES256',
    row: 'verify, remembered',
    what: 'warm `verify`, to one ES256 check',
    why: 'Times, key and revocation are asked anew for each request.',
  },
  {
    table: 'verify-ES256',
    row: 'authenticateNow, same connection',
    what: 'the same connection, to one ES256 check',
    why:
      'The header lines are looked through and compared; times and key of the token are asked anew. A third of ' +
      'all takes the bench, which writes the text of the line anew for each call as a parser does.',
  },
  {
    table: 'verify-ES256',
    row: 'new token, sync',
    what: 'new token, `sync`, to one ES256 check',
    why:
      'Alone all else takes 20 µs: reading JSON strictly, building and freezing claims, two hashes, and the ' +
      'collector, because what is remembered lives on. No single part of it is worth more than 2 µs, and behind a ' +
      'check, which leaves little in the caches of the processor, each takes half as long again.',
  },
  {
    table: 'verify-ES256',
    row: 'new token, pool, 16 at once',
    what: 'new token, `pool`, 16 at once, main thread to one check',
    why: 'As above, and a job for the thread pool.',
  },
  {
    table: 'verify-ES256',
    row: 'remembered token, new proof, sync',
    what: 'new proof, `sync`, to one ES256 check',
    why:
      'As for a new token, 25 µs, with the replay memory instead of the remembered claims, and one hash for the ' +
      'token, one for the memory.',
  },
  {
    table: 'verify-ES256',
    row: 'remembered token, new proof, pool, 16 at once',
    what: 'new proof, `pool`, 16 at once, main thread to one check',
    why: 'As above, and a job for the thread pool.',
  },
  {
    table: 'duel-proof',
    row: 'authplane',
    what: [
      'requests with a proof, against a careful jose composition',
      'requests with a proof, against the sibling composition',
    ],
    why: 'On two cores the load has one of them, and the thread pool wants the same one as the main thread.',
  },
  {
    table: 'duel-bearer',
    row: 'authplane',
    what: 'requests with a bearer token, against the sibling composition',
    why: 'What Nest and Fastify do for a request is in both; the nearer the guard is to nothing, the more it shows.',
  },
  {
    table: 'duel-bystander',
    row: 'authplane',
    what: 'p99 of an open route beside 1,000 proofs a second, against the sibling composition',
    why: 'The route waits for whatever the main thread does for the proofs.',
  },
  {
    table: 'scale-tokens',
    row: '50000 in turn',
    what: '50,000 tokens in turn, to one',
    why: 'The lookup is the same; the entries are no longer in the caches of the processor.',
  },
  {
    table: 'scale-keys',
    row: '1001 keys',
    what: 'new tokens, 1,001 keys in the set, to one',
    why: 'Keys are found by their id.',
  },
  {
    table: 'http-stream-200',
    row: 'nothing hidden',
    what: 'a stream of 1,000 events of 200 characters, added for all (1 µs each)',
    why: 'Each chunk is looked at from its end, and searched for names that lists of others hide.',
  },
  {
    table: 'http-stream-1000000',
    row: 'nothing hidden',
    what: 'an event of a megabyte, to unguarded',
    why: 'It is searched once for names that lists of others hide, and goes on as it is.',
  },
  {
    table: 'exchange',
    row: 'exchange, distinct',
    what: 'a different exchange, to global `fetch`',
    why:
      'A bare agent of `node:http` takes 0.21 to 0.25 of `fetch` for the same request on Node 20, 0.32 to 0.56 on ' +
      'Node 22 and 24, where `fetch` itself costs less; more than half of that in the system. What is added is a ' +
      'turn and a deadline, strict JSON, three hashes for the cache, what the token says of its end, and an ' +
      'answer that is checked and kept. Each takes 1 to 2 µs alone, and three times as long behind calls of the ' +
      'system, which leave little in the caches of the processor.',
  },
  {
    table: 'exchange',
    row: 'exchange, cached',
    what: 'an exchange that is cached, to global `fetch`',
    why: 'Two hashes, and what the token says of its end.',
  },
  {
    table: 'import',
    row: 'with ./core',
    what: '`import` of `./core`, to a bare start of Node',
    why:
      'It is one file of ASCII, without jose and comments, and no module of Node is loaded before it is needed. ' +
      'Three quarters of what is left is compiling it, which goes by the code; Node 22 and 24 themselves start in ' +
      'half the time of Node 20.',
  },
  {
    table: 'gateway',
    row: 'passed through',
    what: [
      'a call passed through the gateway, to a plain forwarder',
      'a call passed through, throughput against a proxy without a guard',
    ],
    why: 'It is verified, read, judged, named anew, given a token of its own, and can be ended at any moment.',
  },
  ...[
    ['session to session', 'a call in a session, to a server with sessions'],
    ['session to 2026-07-28', 'a call in a session, to a server of 2026-07-28'],
    ['2026-07-28 to session', 'a call of 2026-07-28, to a server with sessions'],
  ].map(([row, what]) => ({
    table: 'gateway',
    row,
    what: `${what}, to a plain forwarder`,
    why: 'It is read, judged and sent on as a request of its own.',
  })),
  {
    table: 'gateway-list',
    row: 'listed, warm',
    what: 'a list of ten servers with 1,000 tools each, to serialising it',
    why: 'What a caller may see is chosen for each request.',
  },
  ...['hangs', 'is slow', 'sends garbage', 'is gone'].map((does) => ({
    table: 'gateway-faults',
    row: `beside one that ${does}`,
    what: `p99 of calls beside a server that ${does}, to beside one that is well`,
    why: 'All calls share one main thread.',
  })),
];

const metIf = (isMet, text) => ({ isMet, text });

/** Numbers of things, for which there is no interval. */
export const countedGoals = [
  {
    what: 'memory for each remembered token',
    goal: '≤ 600 bytes',
    find: ({ 'scale-memory': found }) =>
      found && metIf(found.bytesPerToken <= 600, `${found.bytesPerToken.toFixed(0)} bytes`),
    why: 'What claims say twice is kept once already.',
  },
  {
    what: 'longest pause of the replay memory, 1.6 million live proofs, 50 at a time',
    goal: '≤ 10 ms',
    find: ({ 'scale-proofs-1600000': found }) =>
      found &&
      metIf(
        found.longestMs <= 10,
        `${found.longestMs.toFixed(1)} ms, ${found.microseconds.toFixed(1)} µs and ${found.bytes.toFixed(0)} bytes each`,
      ),
    why: 'No table grows for long, and none of it is on the heap: what is left is the collector, for all else.',
  },
  {
    what: '500 identical exchanges at once',
    goal: '1 request',
    find: ({ exchange: found }) => {
      const { requests } = found?.counters['500 identical at once'] ?? {};
      return requests && metIf(requests === 1, `${requests}`);
    },
    why: '',
  },
  {
    what: '500 different exchanges at once',
    goal: '32 connections to the endpoint, as configured',
    find: ({ exchange: found }) => {
      const { mostAtOnce } = found?.counters['500 distinct at once'] ?? {};
      // Metadata and keys have connections of their own.
      return (
        mostAtOnce &&
        metIf(mostAtOnce - 2 <= 32, `${mostAtOnce}, two of them for metadata and keys`)
      );
    },
    why: '',
  },
  {
    what: '1,000 requests while the first key set is loaded; with a new key right after a load',
    goal: '1 fetch each, all accepted',
    find: ({ herd }) => {
      if (herd === undefined) return undefined;
      const both = [herd.found['start under load'], herd.found['rotation right after a load']];
      const isMet = both.every(({ fetches, accepted }) => fetches === 1 && accepted === 1000);
      return metIf(isMet, both.map(({ fetches }) => fetches).join(' and '));
    },
    why: '',
  },
  {
    what: 'a new key during a flood of made-up key ids',
    goal: 'accepted within 6 s',
    find: ({ herd }) => {
      const { newKeyAcceptedAfterSeconds: after, fetches } =
        herd?.found['rotation during a flood'] ?? {};
      return after && metIf(after <= 6, `${after.toFixed(1)} s, ${fetches} fetches`);
    },
    why: '',
  },
  ...Object.entries({ caller: 15, session: 80 }).map(([who, kilobytes]) => ({
    what: `heap of an idle ${who} of the gateway`,
    goal: `≤ ${kilobytes} kB`,
    find: ({ 'gateway-idle': found }) =>
      found &&
      metIf(found.bytes[who] <= kilobytes * 1000, `${(found.bytes[who] / 1000).toFixed(1)} kB`),
    why: 'Lists are kept once for all who see the same; tokens are kept for each.',
  })),
];
