import type { Reply } from './reply.js';

export interface ApprovalPage {
  readonly clientName: string;
  readonly redirectUri: string;
  readonly resource: string | undefined;
  readonly scope: readonly string[];
  readonly user: string;
}

/** The form has no `action`: it goes back to the address it came from, query included. */
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
<form method="post">
<p><label>User name <input name="user" value="${escape(user)}" required autofocus></label></p>
<p><button name="decision" value="approve">Approve</button>
<button name="decision" value="deny" formnovalidate>Deny</button></p>
</form>`,
  );
}

export function errorPage(reason: string): Reply {
  return page(400, 'This request cannot be answered', `<p>${escape(reason)}</p>`);
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
