import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type ConsentServer, startConsentServer, type StartServer } from './consent-app.js';

/** What a host cannot do. */
export interface HostTraits {
  /** It speaks 2026-07-28. */
  readonly modern: boolean;
  /** It has tools only. */
  readonly toolsOnly?: boolean;
  /** It remembers what a client declared in `initialize`. */
  readonly sessions?: boolean;
}

const EVENTS = { name: 'events', arguments: { day: 'monday' } };
const URL_CAPABLE = { elicitation: { url: {} } };
const CONSENT = { resource: 'google-cal' };
/** Of the user, with a token of the provider. */
const EVENTS_OF_ALICE = /events of alice read with google-[\w-]{43}/;

/** What every host has to do: the tools throw one error, and real clients get on with it. */
export function describeConsent(
  title: string,
  start: StartServer,
  { modern, toolsOnly = false, sessions = false }: HostTraits,
): void {
  describe(title, () => {
    let server: ConsentServer;
    let authorizationServer: ConsentServer['authorizationServer'];
    /** The page that a user has to open. */
    let page: string;
    const open: { close(): Promise<void> }[] = [];

    beforeAll(async () => {
      server = await startConsentServer(start);
      ({ authorizationServer } = server);
      const { issuer } = authorizationServer;
      const returnUrl = encodeURIComponent(`${issuer}/connections`);
      page = `${issuer}/connect/google?resource=google-cal&return_url=${returnUrl}`;
    });
    beforeEach(() => {
      authorizationServer.fail('token', null);
      authorizationServer.requireConsent(CONSENT);
      authorizationServer.resetCounters();
    });
    afterAll(async () => {
      await Promise.all(open.map((client) => client.close()));
      await server.close();
    });

    async function headersOf(user: string) {
      return { headers: { authorization: `Bearer ${await server.token(user)}` } };
    }

    const approve = (url: string) => authorizationServer.approveConsent(url, { user: 'alice' });
    const exchanges = () => authorizationServer.requests().token;

    /** Whatever the user has agreed to. */
    function refuseAll(consentUrl: string | undefined): void {
      const body = { error: 'consent_required', consent_url: consentUrl, cause: 'consent_missing' };
      const contentType = 'application/problem+json';
      const fault = { status: 400, contentType, body: JSON.stringify(body) };
      authorizationServer.fail('token', fault);
    }

    /** Consent takes effect after some more refusals, as with a slow upstream. */
    async function approveWithDelay(url: string, { refusals }: { refusals: number }) {
      await approve(url);
      refuseAll(url);
      const enough = exchanges() + refusals;
      const lift = async () => {
        while (exchanges() < enough) await delay(1, undefined, { ref: false });
        authorizationServer.fail('token', null);
      };
      void lift();
    }

    async function connectV1(user = 'alice', capabilities: object = URL_CAPABLE) {
      const client = new Client({ name: 'v1', version: '1' }, { capabilities });
      const requestInit = await headersOf(user);
      const transport = new StreamableHTTPClientTransport(new URL(server.mcpUrl), { requestInit });
      await client.connect(transport);
      open.push(client);
      return client;
    }

    async function connectV2(
      mode: 'legacy' | 'auto',
      { user = 'alice', capabilities = URL_CAPABLE }: { user?: string; capabilities?: object } = {},
    ) {
      const client = new ClientV2(
        { name: 'v2', version: '2' },
        { capabilities, versionNegotiation: { mode } },
      );
      const requestInit = await headersOf(user);
      await client.connect(new TransportV2(new URL(server.mcpUrl), { requestInit }));
      open.push(client);
      return client;
    }

    const legacy = {
      'a v1 client': () => connectV1(),
      'a v2 client of the 2025 era': () => connectV2('legacy'),
    };
    it.each(Object.entries(legacy))(
      '%s gets -32042, and the tool works once consent is given',
      async (_, connect) => {
        const client = await connect();
        const error = await client.callTool(EVENTS).catch((reason: unknown) => reason);
        expect(error).toMatchObject({
          code: -32042,
          elicitations: [
            {
              mode: 'url',
              url: page,
              message: 'Access to google-cal needs your consent.',
              elicitationId: expect.stringMatching(/^[\w-]{22}$/),
            },
          ],
        });
        expect((error as Error).constructor.name).toBe('UrlElicitationRequiredError');
        // Without a session nobody knows whether the client does more than show the message.
        expect((error as Error).message.includes(page)).toBe(!sessions);

        await approve((error as UrlElicitations).elicitations[0]?.url ?? '');
        const result = await client.callTool(EVENTS);
        expect(textOf(result)).toMatch(EVENTS_OF_ALICE);
        expect(result.isError ?? false).toBe(false);
      },
    );

    it('asks the same user with the same elicitation, and another user with another one', async () => {
      const idFor = async (user: string) => {
        const error = await (
          await connectV1(user)
        )
          .callTool(EVENTS)
          .catch((reason: unknown) => reason);
        return (error as UrlElicitations).elicitations[0]?.elicitationId;
      };
      const ids = [await idFor('alice'), await idFor('alice'), await idFor('bob')];
      expect(new Set(ids).size).toBe(2);
      expect(ids[0]).toBe(ids[1]);
    });

    it('gives nobody what another user has agreed to', async () => {
      await approve(page);
      const [alice, bob] = [await connectV1('alice'), await connectV1('bob')];
      expect(textOf(await alice.callTool(EVENTS))).toMatch(EVENTS_OF_ALICE);
      await expect(bob.callTool(EVENTS)).rejects.toMatchObject({ code: -32042 });
    });

    it('keeps concurrent calls of one client apart', async () => {
      const client = await connectV1();
      const answers = await Promise.allSettled([
        client.callTool(EVENTS),
        client.callTool({ name: 'delete_all', arguments: {} }),
        client.callTool(EVENTS),
      ]);
      expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    });

    it.each([
      ['of another origin', 'https://evil.example/connect/google'],
      ['that runs a script', 'javascript:alert(1)'],
      ['that is missing', undefined],
    ])('says what to do instead of showing a page %s', async (_, consentUrl) => {
      refuseAll(consentUrl);
      const result = await (await connectV1()).callTool(EVENTS);
      expect(result.isError).toBe(true);
      expect(textOf(result)).toBe(
        'Access to google-cal needs your consent. ' +
          `Give it in your account at ${authorizationServer.issuer}, then call this again.`,
      );
    });

    it('names the scopes that a tool misses late', async () => {
      const result = await (await connectV1()).callTool({ name: 'delete_all', arguments: {} });
      expect(result.isError).toBe(true);
      expect(textOf(result)).toBe(
        'This operation needs an access token with these scopes: calendar:delete',
      );
    });

    if (sessions) {
      it('gives a client of a session that cannot open URLs the link in words', async () => {
        const result = await (await connectV1('alice', {})).callTool(EVENTS);
        expect(result.isError).toBe(true);
        expect(textOf(result)).toContain(`Open ${page} in a browser`);
      });
    } else {
      it.each(['2025-03-26', '2025-06-18'])(
        'gives a client of %s, which has no URL elicitation, the link in words',
        async (revision) => {
          const client = await connectV1();
          client.transport?.setProtocolVersion?.(revision);
          const result = await client.callTool(EVENTS);
          expect(result.isError).toBe(true);
          expect(textOf(result)).toContain(`Open ${page} in a browser`);
        },
      );
    }

    if (!toolsOnly) {
      it.each(Object.entries(legacy))(
        '%s gets -32042 for prompts and resources, too',
        async (_, connect) => {
          const client = await connect();
          await expect(client.getPrompt({ name: 'briefing' })).rejects.toMatchObject({
            code: -32042,
          });
          await expect(client.readResource({ uri: 'calendar://today' })).rejects.toMatchObject({
            code: -32042,
          });
          authorizationServer.requireConsent({ ...CONSENT, withoutUrl: true });
          await expect(client.getPrompt({ name: 'briefing' })).rejects.toMatchObject({
            code: -32603,
            message: expect.stringContaining('Give it in your account at'),
          });
        },
      );

      it('leaves errors of the application to the SDK', async () => {
        const result = await (await connectV1()).callTool({ name: 'bug', arguments: {} });
        expect(result.isError).toBe(true);
      });
    }

    if (!modern) return;

    async function modernClient(
      action: 'accept' | 'decline' | 'cancel',
      answering: (url: string, asked: number) => unknown = () => undefined,
    ) {
      const client = await connectV2('auto');
      const asked: unknown[] = [];
      client.setRequestHandler('elicitation/create', async ({ params }) => {
        asked.push(params);
        await answering('url' in params ? params.url : '', asked.length);
        return { action };
      });
      return { client, asked };
    }

    it('a client of the 2026 era opens the page once and completes by itself, though consent takes effect late', async () => {
      const { client, asked } = await modernClient('accept', (url) =>
        approveWithDelay(url, { refusals: 2 }),
      );
      const result = await client.callTool(EVENTS);
      expect(textOf(result)).toMatch(EVENTS_OF_ALICE);
      expect(asked).toEqual([
        {
          mode: 'url',
          url: page,
          message: 'Access to google-cal needs your consent.',
        },
      ]);
      expect(exchanges()).toBe(1 + 3);
    });

    it('asks again after the pauses when consent was still not given', async () => {
      const { client, asked } = await modernClient('accept', (url, times) =>
        times === 2 ? approve(url) : undefined,
      );
      const result = await client.callTool(EVENTS);
      expect(textOf(result)).toMatch(EVENTS_OF_ALICE);
      expect(asked).toHaveLength(2);
      expect(exchanges()).toBeGreaterThanOrEqual(1 + 4 + 1);
    });

    it.each([
      ['decline', 'You declined the consent that this operation needs. Nothing was done.'],
      ['cancel', 'You did not give the consent that this operation needs. Nothing was done.'],
    ] as const)(
      'ends with a clear result on %s, without calling the tool',
      async (action, text) => {
        const { client, asked } = await modernClient(action);
        const result = await client.callTool(EVENTS);
        expect(result.isError).toBe(true);
        expect(textOf(result)).toBe(text);
        expect(asked).toHaveLength(1);
        expect(exchanges()).toBe(1);
      },
    );

    it.each([
      ['nothing', {}],
      ['forms only', { elicitation: { form: {} } }],
    ])(
      'gives a client of the 2026 era that declares %s the link in words',
      async (_, capabilities) => {
        const result = await (await connectV2('auto', { capabilities })).callTool(EVENTS);
        expect(result.isError).toBe(true);
        expect(textOf(result)).toBe(
          'Access to google-cal needs your consent. ' +
            `Open ${page} in a browser, give it there, then call this again.`,
        );
      },
    );

    if (toolsOnly) return;

    it('asks for prompts and resources in the 2026 era, too', async () => {
      const { client, asked } = await modernClient('accept', approve);
      const prompt = await client.getPrompt({ name: 'briefing' });
      expect(JSON.stringify(prompt)).toMatch(EVENTS_OF_ALICE);
      authorizationServer.requireConsent(CONSENT);
      const resource = await client.readResource({ uri: 'calendar://today' });
      expect(JSON.stringify(resource)).toMatch(EVENTS_OF_ALICE);
      expect(asked).toHaveLength(2);
    });
  });
}

interface UrlElicitations {
  readonly elicitations: readonly { readonly url: string; readonly elicitationId: string }[];
}

function textOf(result: object): string {
  const { content } = result as { content?: { text?: string }[] };
  return content?.[0]?.text ?? '';
}
