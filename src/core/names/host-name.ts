const MAX_LENGTH = 260; // 253 of a name, and a port
/** A name or an IPv6 address, and a port or none; no empty label, so no trailing dot either. */
const HOST = /^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** The name in a `Host` header in its one spelling, without the port; `undefined` for anything else. */
export function hostName(host: unknown): string | undefined {
  if (typeof host !== 'string' || host.length > MAX_LENGTH) return undefined;
  return HOST.exec(host)?.[1]?.toLowerCase();
}
