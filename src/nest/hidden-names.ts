import { randomBytes } from 'node:crypto';

/**
 * Stand-ins for names that are hidden from a caller.
 *
 * The server is asked for the stand-in, which nobody has registered, and says in its own words that
 * there is no such thing; in its answer the stand-in is replaced by the name again. So a hidden tool
 * cannot run, and whatever the host is, its answer is the one for an unknown tool, to the byte.
 *
 * A stand-in carries its name, because answers may be replayed later on another connection.
 */
export class HiddenNames {
  /** Never sent to a client, so that no client can write a stand-in of its own. */
  readonly #prefix = randomBytes(16).toString('hex');
  readonly #standIns = new RegExp(`([Zz])${this.#prefix}:([\\w-]*)~`, 'g');

  /**
   * Also a URI that every server can parse. Its scheme has a capital, which normalisation makes small:
   * this tells whether the server shows the URI as sent or normalised.
   */
  standInFor(name: string): string {
    return `Z${this.#prefix}:${Buffer.from(name, 'utf16le').toString('base64url')}~`;
  }

  /** Puts the names back into JSON text. */
  restore(json: string): string {
    return json.replace(this.#standIns, (_, capital: string, encoded: string) => {
      const name = Buffer.from(encoded, 'base64url').toString('utf16le'); // keeps lone surrogates
      return JSON.stringify(capital === 'Z' ? name : normalised(name)).slice(1, -1);
    });
  }
}

function normalised(uri: string): string {
  return URL.canParse(uri) ? new URL(uri).href : uri;
}
