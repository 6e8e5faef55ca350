import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { npm } from './programs.js';

export interface PackedPackage {
  readonly tarball: string;
  /** Paths of the files inside. */
  readonly files: readonly string[];
  /** A directory outside the project, so that nothing of the project is found from it. */
  readonly directory: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly packed: PackedPackage;
  }
}

/** Before all specs: what `npm publish` would send, from the `dist` that is there. */
export default function setup(project: TestProject): () => Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'authplane-nestjs-package-'));
  const output = npm(
    ['pack', '--json', '--ignore-scripts', '--pack-destination', directory],
    process.cwd(),
  );
  const [packed] = JSON.parse(output) as { filename: string; files: { path: string }[] }[];
  if (packed === undefined) throw new Error(`npm pack printed: ${output}`);
  const files = packed.files.map(({ path }) => path);
  project.provide('packed', { tarball: join(directory, packed.filename), files, directory });
  // Vitest waits for its workers meanwhile.
  return () => rm(directory, { recursive: true, force: true });
}
