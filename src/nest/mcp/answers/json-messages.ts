export type Json = Readonly<Record<string, unknown>>;

/**
 * The text of a JSON-RPC message, or batch, with each message replaced. The very same text where each is
 * returned as it was.
 */
export function rewritten(
  json: string,
  rewrite: (message: unknown) => unknown,
): string | undefined {
  const body = parsed(json);
  if (!Array.isArray(body)) {
    const changed = rewrite(body);
    if (changed === body) return json;
    return changed === undefined ? undefined : JSON.stringify(changed);
  }
  const messages = body as unknown[];
  const changed = messages.map(rewrite);
  if (changed.every((one, at) => one === messages[at])) return json;
  return JSON.stringify(changed.filter((one) => one !== undefined));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json.replace(/^\ufeff/, '')); // a client may drop a byte order mark, too
  } catch {
    return undefined; // an empty body, or another protocol's
  }
}
