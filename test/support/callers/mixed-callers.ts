import type { McpApp } from '../nest/mcp-app.js';
import { type Answer, Connection } from './connection.js';

const CALLERS = 500;
const AT_ONCE = 50;
const TOOLS = ['free', 'read', 'write', 'own'] as const;
export type Tool = (typeof TOOLS)[number];

/** The scope of each tool. */
export const NEEDS: Readonly<Record<Tool, string | undefined>> = {
  free: undefined,
  read: 'r',
  write: 'w',
  own: undefined,
};

/** A caller, what is sent for them, and the scopes that they have. */
export interface MixedCaller {
  readonly sub: string;
  readonly method: string;
  readonly scopes: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * A third of them with tokens, API keys and sessions each, and all four sets of scopes in each third.
 *
 * @param audienceOf where the token of somebody is for. Default: the endpoint.
 */
export function mixedCallers(
  app: McpApp,
  audienceOf?: (sub: string) => string,
): Promise<MixedCaller[]> {
  return Promise.all(Array.from({ length: CALLERS }, (_, at) => made(app, at, audienceOf)));
}

async function made(
  app: McpApp,
  at: number,
  audienceOf?: (sub: string) => string,
): Promise<MixedCaller> {
  const sub = `user-${at}`;
  const scopes = [[], ['r'], ['w'], ['r', 'w']][at % 4] ?? [];
  const credential = [sub, ...scopes].join('+');
  switch (at % 3) {
    case 0: {
      const claims = audienceOf === undefined ? { sub } : { sub, aud: [audienceOf(sub)] };
      const authorization = await app.bearer(scopes.join(' '), claims);
      return { sub, scopes, method: 'access_token', headers: { authorization } };
    }
    case 1:
      return { sub, scopes, method: 'api_key', headers: { 'x-api-key': credential } };
    default:
      return {
        ...{ sub, scopes, method: 'session' },
        headers: { cookie: `sid=${credential}`, 'sec-fetch-site': 'same-origin' },
      };
  }
}

/** Sends the call of a tool to a path. */
export type Call = (path: string, caller: MixedCaller, tool: Tool) => Promise<Answer>;

/** Callers and tools in every combination, {@link AT_ONCE} at the same time, each on a connection. */
export async function eachRequest(
  origin: string,
  count: number,
  callers: readonly MixedCaller[],
  run: (call: Call, caller: MixedCaller, tool: Tool, at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async () => {
    const connection = new Connection(origin);
    const call: Call = (path, { headers }, tool) =>
      connection.post(path, headers, JSON.stringify(calling(tool)));
    for (let at = next++; at < count; at = next++) {
      const caller = callers[(at * 7919) % CALLERS];
      const tool = TOOLS[(at * 31 + (at >> 3)) % TOOLS.length];
      if (caller !== undefined && tool !== undefined) await run(call, caller, tool, at);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function calling(name: Tool): object {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } };
}
