import { type Credentials, type HeaderLines, onlyLine, parseCredentials } from './credentials.js';
import type { Recalled } from './token-verifier.js';

/** Credentials, and what they were found to be when they last came. */
export type ShownCredentials = Credentials & Recalled;

interface Last {
  readonly line: string;
  readonly shown: ShownCredentials;
}

/**
 * What each connection sent last in its `Authorization` header. The next request of a client has the same
 * line, as good as always, and then it is neither read nor hashed once more.
 *
 * Compared with nothing but what the same connection has sent, so nobody learns anything of others.
 */
export class ConnectionMemory {
  readonly #last = new WeakMap<object, Last>();

  /** @throws TokenMissingError, MalformedCredentialsError */
  credentials(headers: HeaderLines, connection: object | undefined): ShownCredentials {
    if (connection === undefined) return shownIn(headers);
    const line = onlyLine(headers, 'authorization');
    const last = this.#last.get(connection);
    if (last !== undefined && last.line === line) return last.shown;
    const shown = shownIn(headers);
    if (line !== undefined) this.#last.set(connection, { line, shown });
    return shown;
  }
}

/** With places for what will be found: V8 takes long to add a member to a copy. */
function shownIn(headers: HeaderLines): ShownCredentials {
  const { scheme, token } = parseCredentials(headers);
  return { scheme, token, remembered: undefined, hash: undefined };
}
