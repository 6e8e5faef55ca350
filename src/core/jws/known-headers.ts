import { Generations } from '../lib/generations.js';
import { ownCopy } from '../lib/text.js';

const MAX_HEADERS = 256;
/** Headers of access tokens are some hundred characters at most. */
const MAX_HEADER_LENGTH = 1024;

/** What a header says whose grammar and rules have been checked. */
export interface JwsHeader {
  readonly alg: string;
  readonly typ: string | undefined;
  readonly kid: string | undefined;
  readonly header: Record<string, unknown>;
}

/**
 * Memory of headers by their encoded text, which is the same in all tokens of one key: reading them is paid
 * once. Only those of tokens whose signature held get in.
 */
export class KnownHeaders {
  readonly #headers = new Generations<JwsHeader>(MAX_HEADERS / 2);

  get(encoded: string): JwsHeader | undefined {
    return this.#headers.get(encoded);
  }

  remember(jws: JwsHeader & { readonly encodedHeader: string }): void {
    const { encodedHeader, alg, typ, kid, header } = jws;
    if (encodedHeader.length > MAX_HEADER_LENGTH || this.#headers.isYoung(encodedHeader)) return;
    this.#headers.set(ownCopy(encodedHeader), { alg, typ, kid, header });
  }

  /** Headers in memory; one that moved to the young generation counts twice. */
  get size(): number {
    return this.#headers.size;
  }
}
