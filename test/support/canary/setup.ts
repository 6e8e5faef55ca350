/**
 * Runs in front of every spec (`setupFiles`): no secret that travels over HTTP in the run, and
 * nothing that looks like a token or a private key, may occur in what is printed, logged or thrown.
 */

import type { ChildProcess } from 'node:child_process';
import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import type { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import { hearErrorsMade, hearNestLogger, hearOutput, noteTraffic } from './sources.js';
import { Watch } from './watch.js';

/** So many errors of a test are inspected to the bottom; of all others the message is read. */
const INSPECTED = 30;

const watch = new Watch();
let test = '';
let errorsToInspect: AuthplaneError[] = [];

function heard(where: string, ...values: readonly unknown[]): void {
  watch.printed(`${where}, during: ${test || 'the set-up'}`, ...values);
}

/** When its constructor has ended. */
function inspectErrors(): void {
  for (const error of errorsToInspect) heard(`an inspected ${error.name}`, error);
  errorsToInspect = [];
}

/** What another process writes, given as its pipes. Its complaints are shown as well. */
export function hearProcess({ stdout, stderr }: ChildProcess): void {
  stdout?.on('data', (chunk) => heard('stdout of a process', String(chunk)));
  stderr?.on('data', (chunk) => process.stderr.write(chunk));
}

/** What was seen since the last time. Also for specs that print secrets on purpose; they say why. */
export function takeLeaks(): string[] {
  inspectErrors();
  const leaks = watch.leaks();
  watch.forgetPrinted();
  return leaks;
}

const stops = [noteTraffic(watch), hearOutput(heard), hearNestLogger(heard)];
hearErrorsMade((error) => {
  heard(`the message of ${error.name}`, error.message);
  if (errorsToInspect.length < INSPECTED) errorsToInspect.push(error);
});

beforeEach(() => {
  test = expect.getState().currentTestName ?? '';
});

afterEach(inspectErrors);

afterAll(() => {
  for (const stop of stops) stop();
  const leaks = takeLeaks();
  if (leaks.length === 0) return;
  const shown = leaks.slice(0, 20).map((leak) => `  - ${leak}`);
  throw new Error(`${leaks.length} secrets were printed or thrown:\n${shown.join('\n')}`);
});
