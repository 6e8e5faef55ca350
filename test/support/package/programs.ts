import { execFileSync } from 'node:child_process';

export function npm(args: readonly string[], cwd: string): string {
  return run('npm', args, cwd);
}

export function node(args: readonly string[], cwd: string): string {
  return run(process.execPath, args, cwd);
}

/** @throws Error with all that the program has printed. */
function run(program: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
