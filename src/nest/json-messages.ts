export type Json = Readonly<Record<string, unknown>>;

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The text of a JSON-RPC message, or batch, with each message replaced. The very same text where each is
 * returned as it was.
 */
export function rewritten(json: string, rewrite: (message: unknown) => unknown): string {
  const body = parsed(json);
  if (!Array.isArray(body)) {
    const changed = rewrite(body);
    return changed === body ? json : JSON.stringify(changed);
  }
  const messages = body as unknown[];
  const changed = messages.map(rewrite);
  return changed.every((one, at) => one === messages[at]) ? json : JSON.stringify(changed);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json.replace(/^\ufeff/, '')); // a client may drop a byte order mark, too
  } catch {
    return undefined; // an empty body, or another protocol's
  }
}
