import type { Person } from './person.js';
import type { Step } from './step.js';

/** From no token to one: what every MCP client does by itself. */
export async function signIn(person: Person, step: Step): Promise<void> {
  const metadataUrl = await callWithoutToken(person.options.mcpUrl, step);
  await readMetadata(metadataUrl, step);
  const url = await person.askForAccess();
  const { provider } = person;
  step(
    'the MCP client finds the authorization server and registers',
    `client_id: ${provider.clientInformation()?.client_id}`,
  );
  step(`the user is sent to the authorization server ${whoApproves(person)}`, url.href);
  await person.approve(url);
  const tokens = provider.tokens();
  step(
    tokens?.token_type === 'DPoP'
      ? 'the client gets an access token for this server, bound to its key'
      : 'the client gets an access token for this server (PKCE, resource indicator)',
    `${tokens?.token_type}, good for ${tokens?.expires_in} s, scope: ${tokens?.scope}`,
  );
  await person.connect();
}

/** One tool needs a scope of its own: the client hears of it in a 403 and asks the user for it. */
export async function stepUp(person: Person, tool: string, step: Step): Promise<void> {
  const url = await person.callWithoutAccess(tool);
  const { status, challenge } = person.refusal ?? {};
  step(
    `tools/call ${tool}: HTTP ${status}, the tool needs a scope`,
    `WWW-Authenticate: ${challenge}`,
  );
  step(`the client asks the user for it ${whoApproves(person)}`, url.href);
  await person.approve(url);
  step(
    `the new token has the scopes ${person.provider.tokens()?.scope}; the same call again`,
    await person.call(tool),
  );
}

function whoApproves({ options: { approve } }: Person): string {
  return approve === undefined
    ? '(open this address in your browser and approve)'
    : "(the walk approves in the user's place)";
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
