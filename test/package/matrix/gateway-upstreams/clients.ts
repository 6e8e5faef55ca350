import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

export const CLIENTS = ['v1', 'v2-2025', 'v2-2026'] as const;
export type ClientKind = (typeof CLIENTS)[number];

/** What the three clients have in common. */
export interface AnyClient {
  listTools(): Promise<{ tools: { name: string }[] }>;
  listPrompts(): Promise<{ prompts: { name: string }[] }>;
  listResources(): Promise<{ resources: { uri: string }[] }>;
  listResourceTemplates(): Promise<{ resourceTemplates: { uriTemplate: string }[] }>;
  /** With the number of notifications of progress. */
  callTool(name: string, args: object): Promise<{ result: object; progress: number }>;
  getPrompt(params: object): Promise<object>;
  readResource(params: object): Promise<object>;
  complete(params: object): Promise<object>;
  /** Log messages so far. */
  readonly logged: unknown[];
  close(): Promise<void>;
}

/** What tells of its progress. */
const REPORTING = /slow|steps|long-running/;

const capabilities = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
};
const ELICITED = { action: 'accept' as const, content: { name: 'Ann', check: true } };
const SAMPLED = {
  model: 'none',
  role: 'assistant' as const,
  content: { type: 'text' as const, text: 'sampled' },
};
const ROOTS = { roots: [{ uri: 'file:///home/ann', name: 'home' }] };

export async function connectClient(
  kind: ClientKind,
  url: string,
  token: string | undefined,
): Promise<AnyClient> {
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  const requestInit = { headers };
  return kind === 'v1'
    ? connectV1(new TransportV1(new URL(url), { requestInit }))
    : connectV2(new TransportV2(new URL(url), { requestInit }), kind === 'v2-2025');
}

async function connectV1(transport: TransportV1): Promise<AnyClient> {
  const logged: unknown[] = [];
  const client = new ClientV1({ name: 'matrix', version: '1' }, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => elicited(params));
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLED);
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    logged.push(params.data);
  });
  await client.connect(transport);
  return alike(client, transport, logged, (params, options) =>
    client.callTool(params, undefined, options),
  );
}

async function connectV2(transport: TransportV2, isLegacy: boolean): Promise<AnyClient> {
  const logged: unknown[] = [];
  const client = new ClientV2(
    { name: 'matrix', version: '2' },
    { capabilities, versionNegotiation: { mode: isLegacy ? 'legacy' : 'auto' } },
  );
  client.setRequestHandler('elicitation/create', ({ params }) => elicited(params));
  client.setRequestHandler('sampling/createMessage', () => SAMPLED);
  client.setRequestHandler('roots/list', () => ROOTS);
  client.setNotificationHandler('notifications/message', ({ params }) => {
    logged.push(params.data);
  });
  await client.connect(transport);
  return alike(client, transport, logged, (params, options) => client.callTool(params, options));
}

/** What both SDKs have the same names for; only the call of a tool has its options in another place. */
function alike(
  client: ClientV1 | ClientV2,
  transport: TransportV1 | TransportV2,
  logged: unknown[],
  call: (
    params: { name: string; arguments: Record<string, unknown> },
    options: { onprogress?: () => void },
  ) => Promise<object>,
): AnyClient {
  return {
    listTools: () => client.listTools(),
    listPrompts: () => client.listPrompts(),
    listResources: () => client.listResources(),
    listResourceTemplates: () => client.listResourceTemplates(),
    callTool: async (name, args) => {
      let progress = 0;
      const onprogress = REPORTING.test(name) ? { onprogress: () => void progress++ } : {};
      const params = { name, arguments: args as Record<string, unknown> };
      const result = await call(params, onprogress);
      return { result, progress };
    },
    getPrompt: (params) => client.getPrompt(params as never),
    readResource: (params) => client.readResource(params as never),
    complete: (params) => client.complete(params as never),
    logged,
    close: async () => {
      await transport.terminateSession().catch(() => undefined);
      await client.close();
    },
  };
}

function elicited(params: object) {
  return 'mode' in params && params.mode === 'url' ? { action: 'accept' as const } : ELICITED;
}
