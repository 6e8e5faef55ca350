import type { Reply } from './reply.js';

export interface ApprovalPage {
  readonly clientName: string;
  readonly redirectUri: string;
  readonly resource: string | undefined;
  readonly scope: readonly string[];
  readonly user: string;
}

export function approvalPage({
  clientName,
  redirectUri,
  resource,
  scope,
  user,
}: ApprovalPage): Reply {
  return page(
    200,
    'Approve access?',
    `<p><b>${escape(clientName)}</b> asks for access.</p>
<dl>
<dt>Resource</dt><dd>${escape(resource ?? 'none named')}</dd>
<dt>Scopes</dt><dd>${escape(scope.join(' ') || 'none')}</dd>
<dt>You will be sent to</dt><dd>${escape(redirectUri)}</dd>
</dl>
${decisionForm(user)}`,
  );
}

export interface ConnectPage {
  readonly provider: string;
  readonly resource: string;
  readonly returnUrl: string;
  readonly user: string;
}

/** In place of the pages of the provider. */
export function connectPage({ provider, resource, returnUrl, user }: ConnectPage): Reply {
  return page(
    200,
    'Connect an account?',
    `<p>The account that <b>${escape(user)}</b> has at <b>${escape(provider)}</b> will be used for
<b>${escape(resource)}</b>.</p>
<dl>
<dt>You will be sent to</dt><dd>${escape(returnUrl)}</dd>
</dl>
${decisionForm(user)}`,
  );
}

export function connectionsPage(): Reply {
  return page(200, 'Connections', '<p>You can close this page and go on.</p>');
}

export function errorPage(reason: string): Reply {
  return page(400, 'This request cannot be answered', `<p>${escape(reason)}</p>`);
}

/** Without an `action` it goes back to the address it came from, query included. */
function decisionForm(user: string): string {
  return `<form method="post">
<p><label>User name <input name="user" value="${escape(user)}" required autofocus></label></p>
<p><button name="decision" value="approve">Approve</button>
<button name="decision" value="deny" formnovalidate>Deny</button></p>
</form>`;
}

function page(status: number, title: string, content: string): Reply {
  return {
    status,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': 'no-store',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    },
    body: `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escape(title)}</title></head>
<body>
<h1>${escape(title)}</h1>
${content}
<hr><p>A stand-in authorization server for tests. Not for production.</p>
</body>
</html>
`,
  };
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
