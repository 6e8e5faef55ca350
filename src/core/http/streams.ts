import type { Agent, IncomingMessage } from 'node:http';
import { node } from '../platform/node.js';
import { judgedAddress, type ResolvedAddress } from './address-policy.js';
import type { AddressLookup } from './client.js';
import { failureOf, noAddressError, OutboundHttpError, StaleSocketError } from './errors.js';
import {
  agentFor,
  judging,
  lookupAll,
  type Outgoing,
  retire,
  streamBySocket,
  unbracketed,
} from './socket.js';

export interface OutboundStreamOptions {
  /** Allows loopback and private addresses. Never cloud metadata. Default `false`. */
  readonly devMode?: boolean;
  /** Addresses are not judged at all. Default `false`. */
  readonly trusted?: boolean;
  /** Replaces the system's name resolution. Its answers are judged like any other. */
  readonly lookup?: AddressLookup;
}

/** What is sent to a service. */
export interface StreamRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** With credentials; complete, but for `Host` and `Content-Length`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the call at any moment, its answer included. */
  readonly signal: AbortSignal;
  /** May be sent a second time when a kept connection turns out to be dead. Default `false`. */
  readonly isRepeatable?: boolean;
}

/**
 * Calls to one service whose answers are passed on as they come. Every connection goes to an address
 * that was judged when it was made; redirects are not followed, and nothing is decompressed. Deadlines,
 * sizes and numbers are the caller's.
 */
export class OutboundStreams {
  readonly #url: URL;
  readonly #options: OutboundStreamOptions;
  readonly #agent: Agent;
  readonly #lookup = judging((hostname) => this.#resolve(hostname));
  #isLiteralJudged = false;

  /** @param url of the service, which its configuration has checked. */
  constructor(url: URL, options: OutboundStreamOptions = {}) {
    this.#url = url;
    this.#agent = agentFor(url, Infinity);
    this.#options = options;
  }

  /**
   * The answer as soon as its head is there.
   *
   * @throws the reason of the signal
   * @throws OutboundHttpError `address_refused` or `connection`
   */
  async send({ isRepeatable = false, signal, ...init }: StreamRequest): Promise<IncomingMessage> {
    signal.throwIfAborted();
    const call = { url: this.#url, init, signal };
    try {
      return await this.#attempt(call, isRepeatable);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof OutboundHttpError) throw error;
      throw failureOf(error, this.#url.host, signal.reason);
    }
  }

  /** Drops idle connections; those in use end with their calls. */
  close(): void {
    retire(this.#agent);
  }

  async #attempt(call: Outgoing, isRepeatable: boolean): Promise<IncomingMessage> {
    this.#judgeLiteral();
    const lookup = this.#lookup;
    try {
      return await streamBySocket(call, { lookup, agent: this.#agent });
    } catch (error) {
      if (!(error instanceof StaleSocketError) || !isRepeatable) throw error;
      return streamBySocket(call, { lookup, agent: false });
    }
  }

  /** An address in the URL, about which node:net asks no lookup, stays what it is. */
  #judgeLiteral(): void {
    if (this.#isLiteralJudged) return;
    const host = unbracketed(this.#url.hostname);
    if (node.net.isIP(host) !== 0) this.#judged([{ address: host }]);
    this.#isLiteralJudged = true;
  }

  async #resolve(hostname: string): Promise<readonly ResolvedAddress[]> {
    const { lookup = lookupAll } = this.#options;
    const found = await lookup(hostname);
    if (found.length === 0) throw noAddressError(this.#url.host);
    return this.#judged(found);
  }

  #judged(found: readonly Pick<ResolvedAddress, 'address'>[]): readonly ResolvedAddress[] {
    const { devMode = false, trusted = false } = this.#options;
    if (trusted)
      return found.map(({ address }) => ({
        address,
        family: node.net.isIP(address) === 6 ? 6 : 4,
      }));
    const policy = { host: this.#url.host, devMode, wayOut: 'trusted for this upstream' };
    return found.map(({ address }) => judgedAddress(address, policy));
  }
}
