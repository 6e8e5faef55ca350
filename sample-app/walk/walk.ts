import { setTimeout as delay } from 'node:timers/promises';
import { UrlElicitationRequiredError } from '@modelcontextprotocol/client';
import type { UpstreamState } from 'authplane-nestjs/gateway';
import { Person } from './person.js';
import { signIn, stepUp } from './sign-in.js';
import { numbered, type Step } from './step.js';

export interface Walk {
  readonly mcpUrl: string;
  /** Stands in for the user in front of the approval page; `undefined` leaves it to a person. */
  readonly approve?: (authorizationUrl: URL, user: string) => Promise<URL>;
  /** Likewise in front of the page where a service is connected. */
  readonly approveConsent?: (consentUrl: string, user: string) => Promise<unknown>;
  /** The clients bind their tokens to a key and prove possession of it on every request (RFC 9449). */
  readonly dpop?: boolean;
  /** Can be stopped and started. */
  readonly calendar?: { stop(): Promise<void>; start(): Promise<void> };
  readonly states?: () => readonly UpstreamState[];
  readonly print: (line: string) => void;
}

/** Two users with real MCP clients go the whole way, from no token to a server that is down and comes back. */
export async function walk(options: Walk): Promise<void> {
  const step = numbered(options.print);
  const { mcpUrl, dpop, approve, approveConsent } = options;
  const common = { mcpUrl, dpop, approve };
  const alice = await Person.with({ ...common, name: 'alice', era: 'legacy' });
  try {
    await signIn(alice, step);
    await useDesk(alice, step);
    await stepUp(alice, 'desk__now_utc', step);
    if (approveConsent !== undefined) await giveConsent(alice, approveConsent, step);
  } finally {
    await alice.close();
  }
  if (approveConsent !== undefined) await secondUser(options, approveConsent, step);
}

/** What a client of 2026-07-28 sees, with the calendar of another user. */
async function secondUser(
  { mcpUrl, dpop, approve, calendar, states }: Walk,
  approveConsent: NonNullable<Walk['approveConsent']>,
  step: Step,
): Promise<void> {
  let page = '';
  const openPage = async (url: string) => {
    page = url;
    await approveConsent(url, 'bob');
  };
  const bob = await Person.with({ mcpUrl, name: 'bob', era: 'auto', dpop, approve, openPage });
  try {
    await bob.approve(await bob.askForAccess());
    await bob.connect();
    step('another user signs in, whose client speaks MCP 2026-07-28', 'subject: bob');
    const events = await bob.call('calendar__list_events');
    step(
      'tools/call calendar__list_events: the result is input_required, with a page for bob',
      page,
    );
    step('bob agrees, and the client sends the same call again by itself', events);
    if (calendar !== undefined) await outage(bob, calendar, states, step);
  } finally {
    await bob.close();
  }
}

async function useDesk(alice: Person, step: Step): Promise<void> {
  await list(
    alice,
    'tools/list: one list for all servers; the calendar waits for consent, and hides no other',
    step,
  );
  step(
    'tools/call desk__add {"a": 2, "b": 3}: the desk gets a token of its own, by exchange',
    await alice.call('desk__add', { a: 2, b: 3 }),
  );
  step(
    'tools/call desk__whoami: the desk knows for whom the gateway ("gateway") calls',
    await alice.call('desk__whoami'),
  );
}

async function list(person: Person, title: string, step: Step): Promise<void> {
  const { tools, unavailable } = await person.list();
  const missing = unavailable.length === 0 ? [] : [`not shown: ${unavailable.join(', ')}`];
  step(title, [...tools, ...missing].join('\n'));
}

/** The calendar belongs to the user, who has to agree before anybody may read it. */
async function giveConsent(
  alice: Person,
  approveConsent: NonNullable<Walk['approveConsent']>,
  step: Step,
): Promise<void> {
  const consentUrl = await alice
    .call('calendar__list_events')
    .then(() => Promise.reject(new Error('the calendar was read without consent')), consentPage);
  step(
    'tools/call calendar__list_events: the client is asked to send the user to a page (-32042)',
    consentUrl,
  );
  await approveConsent(consentUrl, 'alice');
  step(
    "the user agrees (the walk, in the user's place); the same call again",
    await alice.call('calendar__list_events'),
  );
  await list(alice, 'tools/list again: both servers in one list', step);
}

function consentPage(error: unknown): string {
  if (!(error instanceof UrlElicitationRequiredError)) throw error;
  const [elicitation] = error.elicitations;
  if (elicitation === undefined) throw new Error('the server asks for consent and names no page');
  return elicitation.url;
}

/** One server is down: its calls are answered at once and by name, and all others go on. */
async function outage(
  bob: Person,
  calendar: NonNullable<Walk['calendar']>,
  states: Walk['states'],
  step: Step,
): Promise<void> {
  const told = () => states?.().map(sentence) ?? [];
  await calendar.stop();
  step('the calendar is stopped: its calls fail, by name', await failure(bob));
  await failure(bob);
  const spared = await failure(bob);
  step('after two failures it is spared, and callers hear at once when to come back', spared);
  const sum = await bob.call('desk__add', { a: 2, b: 3 });
  step('meanwhile tools/call desk__add works; GatewayUpstreams says who is down', sum, ...told());
  await calendar.start();
  const events = await whenBack(bob);
  step('the calendar is started: it is back, and the gateway was not restarted', events, ...told());
}

async function failure(bob: Person): Promise<string> {
  const hasAnswered = await bob.call('calendar__list_events').then(
    () => true,
    () => false,
  );
  if (hasAnswered || bob.refusal === undefined) throw new Error('a stopped server has answered');
  const { status, retryAfter, message } = bob.refusal;
  const pause = retryAfter === null ? '' : `, Retry-After: ${retryAfter}`;
  return `HTTP ${status}${pause}: ${message}`;
}

/** As a client that does what `Retry-After` says. */
async function whenBack(bob: Person): Promise<string> {
  await delay(Number(bob.refusal?.retryAfter ?? 0) * 1000);
  return bob.call('calendar__list_events');
}

function sentence({ name, breaker, failingSince }: UpstreamState): string {
  const since = failingSince === undefined ? 'up' : `failing since ${failingSince.toISOString()}`;
  return `${name}: ${since}, breaker ${breaker}`;
}
