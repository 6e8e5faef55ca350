import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import {
  type AnyClient,
  type ClientKind,
  CLIENTS,
  connectClient,
} from './gateway-upstreams/clients.js';
import {
  type Operation,
  operationsWith,
  outcomeOf,
  type Server,
} from './gateway-upstreams/operations.js';
import { type ForeignServers, startForeignServers } from './gateway-upstreams/servers.js';

const SERVERS = ['everything', 'filesystem', 'memory', 'fast', 'calendar'] as const;

/** What the protocol forbids, by client, server and operation: the page says so by name. */
const EXCEPTIONS: readonly string[] = [
  // 2026-07-28 has no questions while a call runs, so they cannot be promised, and these are not offered.
  'v2-2026 everything list tools',
  'v2-2026 everything tool get-roots-list',
  'v2-2026 everything tool trigger-elicitation-request',
  'v2-2026 everything tool trigger-sampling-request',
  'v2-2026 everything tool trigger-url-elicitation',
  // It runs as a task only, and this client declares no tasks: an error of the protocol instead of a result that says so.
  'v2-2026 everything tool simulate-research-query',
  // It has no sessions either: each call is the first one.
  'v2-2026 everything tool toggle-simulated-logging',
  'v2-2026 everything tool toggle-subscriber-updates',
];

/** Of each client and server: how many uses, and whether each list is whole. None may be left out unseen. */
const cells: Record<string, number> = {};

const folder = mkdtempSync(join(tmpdir(), 'authplane-upstreams-'));
let foreign: ForeignServers;
let calendar: RunningUpstream;
let app: GatewayApp;
let urls: Readonly<Record<Server, string>>;
let operations: Readonly<Record<Server, readonly Operation[]>>;

beforeAll(async () => {
  foreign = await startForeignServers(folder);
  calendar = await startUpstream(calendarServer);
  urls = { ...foreign.urls, calendar: calendar.url };
  operations = operationsWith(foreign.files);
  app = await startGateway({
    gateway: {
      upstreams: Object.fromEntries(
        SERVERS.map((name) => [name, { url: urls[name], token: none(), listTimeoutMs: 20_000 }]),
      ),
    },
  });
});
afterAll(async () => {
  await app?.close();
  foreign?.stop();
  await calendar?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Seen {
  readonly names: Readonly<Record<string, readonly string[]>>;
  readonly outcomes: readonly unknown[];
}

async function seen(client: AnyClient, server: Server, prefix: string): Promise<Seen> {
  foreign.reset();
  const mine = (all: readonly string[]) =>
    all
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .sort();
  const listed = async <T>(list: () => Promise<T>, none_: T): Promise<T> =>
    list().catch(() => none_);
  const { tools } = await client.listTools();
  const { prompts } = await listed(() => client.listPrompts(), { prompts: [] });
  const { resources } = await listed(() => client.listResources(), { resources: [] });
  const { resourceTemplates } = await listed(() => client.listResourceTemplates(), {
    resourceTemplates: [],
  });
  const names = {
    tools: mine(tools.map(({ name }) => name)),
    prompts: mine(prompts.map(({ name }) => name)),
    resources: resources.map(({ uri }) => uri),
    templates: resourceTemplates.map(({ uriTemplate }) => uriTemplate),
  };
  const outcomes: unknown[] = [];
  for (const operation of operations[server]) {
    outcomes.push(await outcomeOf(client, operation, prefix));
  }
  return { names, outcomes };
}

/** In the server's own revision, which v2 finds out. */
async function seenDirectly(server: Server, asked: ClientKind): Promise<Seen> {
  const kind = server === 'calendar' ? 'v2-2026' : asked;
  const client = await connectClient(kind, urls[server], undefined);
  try {
    return await seen(client, server, '');
  } finally {
    await client.close();
  }
}

/** What expands a template that has variables alone between its slashes. */
const expanding = (template: string) =>
  new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`);

describe.each(SERVERS)('14: %s', (server) => {
  test('every tool, prompt, resource and template that it lists is used here', async () => {
    const { names } = await seenDirectly(server, 'v1');
    const used = (kind: string) =>
      operations[server].flatMap((one) => (one[0] === kind ? [String(one[1])] : []));
    const unused = (list: string, kind: string) =>
      names[list]?.filter((name) => !used(kind).includes(name));
    expect(unused('tools', 'tool')).toEqual([]);
    expect(unused('prompts', 'prompt')).toEqual([]);
    expect(unused('resources', 'resource')).toEqual([]);
    const uris = used('resource');
    const isUnread = (template: string) => !uris.some((uri) => expanding(template).test(uri));
    expect(names['templates']?.filter(isUnread)).toEqual([]);
  });

  test.each(CLIENTS)('%s: through the gateway as directly', async (kind) => {
    const expected = await seenDirectly(server, kind);
    const client = await connectClient(kind, app.mcpUrl, await app.token({ sub: kind }));
    const through = await seen(client, server, `${server}__`).finally(() => client.close());
    const differing: Record<string, unknown> = {};
    cells[`${kind} ${server}`] = Object.keys(expected.names).length + expected.outcomes.length;
    for (const [list, names] of Object.entries(expected.names)) {
      const found = new Set(through.names[list]);
      const missing = names.filter((name) => !found.has(name));
      if (missing.length > 0) differing[`${kind} ${server} list ${list}`] = missing;
    }
    operations[server].forEach((operation, index) => {
      const { [index]: one } = expected.outcomes;
      const { [index]: other } = through.outcomes;
      const what = operation[0] === 'completion' ? JSON.stringify(operation[1]) : operation[1];
      const key = `${kind} ${server} ${operation[0]} ${what}`;
      if (JSON.stringify(one) !== JSON.stringify(other))
        differing[key] = { direct: one, through: other };
    });
    const forbidden = EXCEPTIONS.filter((key) => key.startsWith(`${kind} ${server} `));
    const unexpected = Object.entries(differing).filter(([key]) => !forbidden.includes(key));
    expect(Object.fromEntries(unexpected)).toEqual({});
    expect(Object.keys(differing).sort()).toEqual(forbidden.sort());
  });
});

test('14: no cell is left out, and the page names each tool that is an exception', () => {
  const lists = ['tools', 'prompts', 'resources', 'templates'].length;
  const expected = CLIENTS.flatMap((kind) =>
    SERVERS.map((server) => [`${kind} ${server}`, lists + operations[server].length] as const),
  );
  expect(cells).toEqual(Object.fromEntries(expected));
  const all = expected.reduce((sum, [, count]) => sum + count, 0);
  const [, page = ''] = readFileSync('docs/gateway.md', 'utf8').split(
    '### Servers it was tried with',
  );
  const [section = ''] = page.split(/^##/m);
  expect(section).toContain(`${all - EXCEPTIONS.length} of ${all}`);
  const named =
    section
      .split('The protocol')
      .at(-1)
      ?.matchAll(/`([\w-]+)`/g) ?? [];
  const excepted = EXCEPTIONS.flatMap((key) => / tool (.+)$/.exec(key)?.[1] ?? []);
  expect([...named].map(([, name]) => name).sort()).toEqual(excepted.sort());
});
