import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

export interface LineProcessOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/** Ended then: no client may hang. */
export const PATIENCE_MS = 60_000;

interface Running {
  readonly child: ChildProcess;
  /** With all that it has written to its standard error. */
  readonly over: Promise<string>;
}

/**
 * A program that answers each line of its standard input, an object with an `id`, with one that has the
 * same `id`. Clients take longer to load than to call, so one process makes all calls of a client.
 */
export class LineProcess {
  #running: Running | undefined;
  #ids = 0;
  readonly #answers = new Map<number, (answer: object) => void>();

  constructor(private readonly options: LineProcessOptions) {}

  /** @throws Error with what the program has written, if it ends or is silent in place of an answer. */
  async ask(question: object): Promise<object> {
    const { child, over } = (this.#running ??= this.#start()); // a new one, if the last has ended
    const id = ++this.#ids;
    const answer = new Promise<object>((resolve) => this.#answers.set(id, resolve));
    const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    child.stdin?.write(`${JSON.stringify({ ...question, id })}\n`);
    const given = await Promise.race([answer, over]);
    clearTimeout(patience);
    this.#answers.delete(id);
    if (typeof given === 'object') return given;
    throw new Error(`no answer to ${JSON.stringify(question)}: ${given}`);
  }

  async close(): Promise<void> {
    this.#running?.child.kill('SIGKILL');
    await this.#running?.over;
  }

  #start(): Running {
    const { program, args, cwd, env } = this.options;
    const child = spawn(program, args, { cwd, env, stdio: 'pipe' });
    child.stdin.on('error', () => undefined); // it has ended, which `over` tells
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{')) return; // the client says something else
      const { id = 0, ...answer } = JSON.parse(line) as { id?: number };
      this.#answers.get(id)?.(answer);
    });
    const over = Promise.all([text(child.stderr), once(child, 'exit')]).then(([errors]) => {
      this.#running = undefined;
      return errors;
    });
    return { child, over };
  }
}
