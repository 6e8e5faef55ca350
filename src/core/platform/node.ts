import type * as Buffers from 'node:buffer';
import type Cluster from 'node:cluster';
import type * as Crypto from 'node:crypto';
import type * as Net from 'node:net';
import type * as Os from 'node:os';
import type * as Util from 'node:util';

/** What of `node:net` opens no connection. */
type PureOfNet = Pick<typeof Net, 'BlockList' | 'isIP' | 'isIPv6'>;

/**
 * Modules of Node, each loaded when it is first needed. An `import` would load them with this package, and make them
 * hand out all that is in them: `node:crypto` loads WebCrypto for that, `node:util` of Node 22 its worker threads.
 */
class NodeModules {
  #buffer: typeof Buffers | undefined;
  #crypto: typeof Crypto | undefined;
  #net: PureOfNet | undefined;
  #os: typeof Os | undefined;
  #util: typeof Util | undefined;

  get buffer(): typeof Buffers {
    return (this.#buffer ??= process.getBuiltinModule('node:buffer'));
  }

  get crypto(): typeof Crypto {
    return (this.#crypto ??= process.getBuiltinModule('node:crypto'));
  }

  get net(): PureOfNet {
    return (this.#net ??= process.getBuiltinModule('node:net'));
  }

  get os(): typeof Os {
    return (this.#os ??= process.getBuiltinModule('node:os'));
  }

  get util(): typeof Util {
    return (this.#util ??= process.getBuiltinModule('node:util'));
  }

  /** Asked once, of an application that does not say by itself that it is one process of several. */
  get isClusterWorker(): boolean {
    const found: object = process.getBuiltinModule('node:cluster'); // whose types are those of an import
    return (found as Pick<typeof Cluster, 'isWorker'>).isWorker;
  }
}

export const node = new NodeModules();

/** The name under which `util.inspect` looks for a method. */
export const INSPECT: typeof Util.inspect.custom = Symbol.for(
  'nodejs.util.inspect.custom',
) as typeof Util.inspect.custom;
