import type { HttpServer } from '@nestjs/common';

/** What is asked of Express for its settings. */
interface ExpressApplication {
  get(setting: string): unknown;
}

/** Under which Fastify keeps what it was made with; part of no public interface. */
const FASTIFY_OPTIONS = 'fastify.options';

/** Whether the platform believes `X-Forwarded-Host` whoever sends it. */
export function trustsEverySender(adapter: HttpServer | undefined): boolean {
  if (adapter === undefined) return false;
  const instance: unknown = adapter.getInstance();
  switch (adapter.getType()) {
    case 'express':
      return (instance as ExpressApplication).get('trust proxy') === true;
    case 'fastify':
      return optionsOf(instance as object).trustProxy === true;
    default:
      return false;
  }
}

function optionsOf(fastify: object): { readonly trustProxy?: unknown } {
  const key = Object.getOwnPropertySymbols(fastify).find(
    ({ description }) => description === FASTIFY_OPTIONS,
  );
  const options: unknown = key && Reflect.get(fastify, key);
  return typeof options === 'object' && options !== null ? options : {};
}

/** The names of requests are then whatever their senders say. */
export const TRUSTS_EVERY_SENDER =
  'the platform trusts X-Forwarded-Host of every sender, and which resource a request is for follows that ' +
  'name: set trust proxy (Express) or trustProxy (Fastify) to the addresses of your proxies, or to how many ' +
  'there are, unless a proxy in front always overwrites that header';
