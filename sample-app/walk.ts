import {
  Client,
  DpopSession,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/client';
import { CallbackListener } from './browser.js';
import { MemoryOAuthProvider } from './memory-oauth-provider.js';

export interface Walk {
  readonly mcpUrl: string;
  /** Stands in for the user in front of the approval page; `undefined` leaves it to a person. */
  readonly approve?: (authorizationUrl: URL) => Promise<URL>;
  /** Likewise in front of the page where a service is connected. */
  readonly approveConsent?: (consentUrl: string) => Promise<unknown>;
  /** The client binds its token to a key and proves possession of it on every request (RFC 9449). */
  readonly dpop?: boolean;
  readonly print: (line: string) => void;
}

/** A real MCP client goes the whole way, from no token to a tool that knows who is calling. */
export async function walk({ mcpUrl, approve, approveConsent, dpop, print }: Walk): Promise<void> {
  const step = numbered(print);
  const browser = await CallbackListener.start();
  const session = dpop === true ? await DpopSession.create() : undefined;
  const provider = new MemoryOAuthProvider(browser.redirectUrl, session);
  try {
    const metadataUrl = await callWithoutToken(mcpUrl, step);
    await readMetadata(metadataUrl, step);
    await connectAndAuthorize({ mcpUrl, provider, browser, approve, step });
    const { client, transport, refusals } = await connect(mcpUrl, provider);
    await useTools(client, step);
    await stepUp({ client, transport, refusals, provider, browser, approve, step });
    if (approveConsent !== undefined) await useCalendar(client, approveConsent, step);
    await client.close();
  } finally {
    browser.close();
  }
}

type Step = (title: string, ...details: string[]) => void;

function numbered(print: (line: string) => void): Step {
  let number = 0;
  return (title, ...details) => {
    print(`\n${++number}. ${title}`);
    for (const detail of details) print(detail.replace(/^/gm, '     '));
  };
}

async function callWithoutToken(mcpUrl: string, step: Step): Promise<string> {
  const response = await fetch(mcpUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  });
  const challenge = response.headers.get('www-authenticate') ?? '';
  step(`no token: HTTP ${response.status} and a challenge`, `WWW-Authenticate: ${challenge}`);
  const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge)?.[1];
  if (response.status !== 401 || metadataUrl === undefined) {
    throw new Error('expected a 401 whose challenge names the resource metadata');
  }
  return metadataUrl;
}

async function readMetadata(metadataUrl: string, step: Step): Promise<void> {
  const response = await fetch(metadataUrl);
  const document: unknown = await response.json();
  step(
    `the challenge leads to the resource metadata: ${metadataUrl}`,
    JSON.stringify(document, null, 2),
  );
}

interface Authorization {
  readonly mcpUrl: string;
  readonly provider: MemoryOAuthProvider;
  readonly browser: CallbackListener;
  readonly approve: Walk['approve'];
  readonly step: Step;
}

async function connectAndAuthorize({ mcpUrl, provider, browser, approve, step }: Authorization) {
  const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), { authProvider: provider });
  const url = await connectUntilAuthorization(transport, provider);
  step(
    'the MCP client finds the authorization server and registers',
    `client_id: ${provider.clientInformation()?.client_id}`,
  );
  step(`the user is sent to the authorization server ${whoApproves(approve)}`, url.href);
  const callback = approve === undefined ? await browser.callback() : await approve(url);
  await transport.finishAuth(callback.searchParams);
  const tokens = provider.tokens();
  step(
    tokens?.token_type === 'DPoP'
      ? 'the client gets an access token for this server, bound to its key'
      : 'the client gets an access token for this server (PKCE, resource indicator)',
    `${tokens?.token_type}, good for ${tokens?.expires_in} s, scope: ${tokens?.scope}`,
  );
}

function whoApproves(approve: Walk['approve']): string {
  return approve === undefined
    ? '(open this address in your browser and approve)'
    : "(the walk approves in the user's place)";
}

async function connectUntilAuthorization(
  transport: StreamableHTTPClientTransport,
  provider: MemoryOAuthProvider,
): Promise<URL> {
  const client = new Client({ name: 'sample-walk', version: '1.0.0' });
  try {
    await client.connect(transport);
  } catch (error) {
    if (error instanceof UnauthorizedError && provider.authorizationUrl !== undefined) {
      return provider.authorizationUrl;
    }
    throw error;
  }
  throw new Error('the server let a client in that has no token');
}

interface Connection {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  /** Challenges of the answers with status 403, oldest first. */
  readonly refusals: readonly string[];
}

async function connect(mcpUrl: string, provider: MemoryOAuthProvider): Promise<Connection> {
  const client = new Client({ name: 'sample-walk', version: '1.0.0' });
  const refusals: string[] = [];
  const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), {
    authProvider: provider,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      if (response.status === 403) refusals.push(response.headers.get('www-authenticate') ?? '');
      return response;
    },
  });
  await client.connect(transport);
  return { client, transport, refusals };
}

type StepUp = Connection & Omit<Authorization, 'mcpUrl'>;

/** One tool needs a scope of its own: the client hears of it in a 403 and asks the user for it. */
async function stepUp({ client, transport, refusals, provider, browser, approve, step }: StepUp) {
  const refused = await client.callTool({ name: 'now_utc' }).then(
    () => false,
    (error: unknown) => error instanceof UnauthorizedError,
  );
  const url = provider.authorizationUrl;
  if (!refused || url === undefined) throw new Error('now_utc ran without its scope');
  step('tools/call now_utc: HTTP 403, the tool needs a scope', `WWW-Authenticate: ${refusals[0]}`);
  step(`the client asks the user for it ${whoApproves(approve)}`, url.href);
  const callback = approve === undefined ? await browser.callback() : await approve(url);
  await transport.finishAuth(callback.searchParams);
  step(
    `the new token has the scopes ${provider.tokens()?.scope}; the same call again`,
    await call(client, 'now_utc', {}),
  );
}

async function useTools(client: Client, step: Step): Promise<void> {
  const { tools } = await client.listTools();
  step('tools/list', tools.map((tool) => `${tool.name}: ${tool.description}`).join('\n'));
  step('tools/call add {"a": 2, "b": 3}', await call(client, 'add', { a: 2, b: 3 }));
  step('tools/call whoami: the server knows who is calling', await call(client, 'whoami', {}));
}

/** The calendar belongs to the user, who has to agree before the server may read it. */
async function useCalendar(
  client: Client,
  approveConsent: NonNullable<Walk['approveConsent']>,
  step: Step,
): Promise<void> {
  const consentUrl = await call(client, 'calendar', {}).then(
    () => Promise.reject(new Error('the calendar was read without consent')),
    consentPage,
  );
  step('tools/call calendar: the client is asked to send the user to a page (-32042)', consentUrl);
  await approveConsent(consentUrl);
  step(
    `the user agrees (the walk, in the user's place); the same call again ("sample" is this server)`,
    await call(client, 'calendar', {}),
  );
}

function consentPage(error: unknown): string {
  if (!(error instanceof UrlElicitationRequiredError)) throw error;
  const [elicitation] = error.elicitations;
  if (elicitation === undefined) throw new Error('the server asks for consent and names no page');
  return elicitation.url;
}

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<string> {
  const result = await client.callTool({ name, arguments: args });
  const [content] = result.content as { type: string; text?: string }[];
  if (result.isError === true || content?.text === undefined) {
    throw new Error(`${name} failed: ${content?.text}`);
  }
  return content.text;
}
