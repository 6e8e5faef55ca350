import {
  Client,
  DpopSession,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { CallbackListener } from './browser.js';
import { MemoryOAuthProvider } from './memory-oauth-provider.js';

/** Where they sign in, with which MCP revision, and who answers the pages of the authorization server. */
export interface PersonOptions {
  readonly mcpUrl: string;
  readonly name: string;
  /** `auto`: 2026-07-28 where the server speaks it; `legacy`: 2025-11-25. */
  readonly era: 'auto' | 'legacy';
  /** Tokens are bound to a key, and useless without it. */
  readonly dpop?: boolean | undefined;
  /** In front of the approval page; `undefined` leaves it to whoever reads the address. */
  readonly approve?: ((url: URL, user: string) => Promise<URL>) | undefined;
  /** Opens the page of a service that asks for consent. */
  readonly openPage?: ((url: string) => Promise<unknown>) | undefined;
}

/** What the gateway answered with a status other than 200, headers that matter included. */
export interface Refusal {
  readonly status: number;
  readonly challenge: string;
  readonly retryAfter: string | null;
  /** Of the JSON-RPC error in its body. */
  readonly message: string;
}

/** A user with a browser and an MCP client, which does all that is done about OAuth here. */
export class Person {
  readonly provider: MemoryOAuthProvider;
  readonly #client: Client;
  readonly #transport: StreamableHTTPClientTransport;
  /** The newest. */
  refusal: Refusal | undefined;

  private constructor(
    readonly options: PersonOptions,
    readonly browser: CallbackListener,
    session: DpopSession | undefined,
  ) {
    this.provider = new MemoryOAuthProvider(browser.redirectUrl, session);
    this.#client = clientOf(options);
    this.#transport = this.#newTransport();
  }

  static async with(options: PersonOptions): Promise<Person> {
    const session = options.dpop === true ? await DpopSession.create() : undefined;
    return new Person(options, await CallbackListener.start(), session);
  }

  /** The first attempt, without a token: the address where the user has to approve. */
  async askForAccess(): Promise<URL> {
    return this.#approvalFor(() => clientOf(this.options).connect(this.#newTransport()));
  }

  /** The user approves, in the browser that the authorization server sends back. */
  async approve(url: URL): Promise<void> {
    const { approve, name } = this.options;
    const callback = await (approve === undefined ? this.browser.callback() : approve(url, name));
    await this.#transport.finishAuth(callback.searchParams);
  }

  connect(): Promise<void> {
    return this.#client.connect(this.#transport);
  }

  /** Names of tools, and of the servers whose tools are missing. */
  async list(): Promise<{ readonly tools: string[]; readonly unavailable: string[] }> {
    const { tools, _meta } = await this.#client.listTools();
    const unavailable = _meta?.['ai.authplane/unavailable'];
    return {
      tools: tools.map(({ name, description }) => `${name}: ${description}`),
      unavailable: Array.isArray(unavailable) ? unavailable.map(String) : [],
    };
  }

  /** @throws what the client throws; Error with the text of a result that says `isError` */
  async call(name: string, args: Record<string, unknown> = {}): Promise<string> {
    const result = await this.#client.callTool({ name, arguments: args });
    const [content] = result.content as { type: string; text?: string }[];
    if (result.isError === true || content?.text === undefined) {
      throw new Error(`${name} failed: ${content?.text}`);
    }
    return content.text;
  }

  /** The address where the user has to approve more, because this call needs it. */
  async callWithoutAccess(name: string): Promise<URL> {
    return this.#approvalFor(() => this.call(name));
  }

  async close(): Promise<void> {
    this.browser.close();
    await this.#client.close();
  }

  async #approvalFor(attempt: () => Promise<unknown>): Promise<URL> {
    this.provider.authorizationUrl = undefined;
    try {
      await attempt();
    } catch (error) {
      const url = this.provider.authorizationUrl as URL | undefined;
      if (error instanceof UnauthorizedError && url !== undefined) return url;
      throw error;
    }
    throw new Error('the gateway asked for no approval');
  }

  #newTransport(): StreamableHTTPClientTransport {
    return new StreamableHTTPClientTransport(new URL(this.options.mcpUrl), {
      authProvider: this.provider,
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        if (response.status >= 400) this.refusal = await refusalIn(response.clone());
        return response;
      },
    });
  }
}

async function refusalIn(response: Response): Promise<Refusal> {
  const body = (await response.json().catch(() => ({}))) as { error?: { message?: string } };
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate') ?? '',
    retryAfter: response.headers.get('retry-after'),
    message: body.error?.message ?? '',
  };
}

function clientOf({ name, era, openPage }: PersonOptions): Client {
  const client = new Client(
    { name: `client of ${name}`, version: '1.0.0' },
    { capabilities: { elicitation: { url: {} } }, versionNegotiation: { mode: era } },
  );
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    if (!('url' in params)) return { action: 'decline' };
    await openPage?.(params.url);
    return { action: 'accept' };
  });
  return client;
}
