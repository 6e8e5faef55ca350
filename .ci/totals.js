/**
 * Adds up the reports that Jest has left in a folder and prints them as one line. A spec file that
 * could not run at all counts as one failure, and so does a run that has executed no test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? '.';
const reports = readdirSync(folder).map((name) =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')),
);
const sum = (...members) =>
  reports
    .flatMap((report) => members.map((member) => report[member]))
    .reduce((total, count) => total + count, 0);

const passed = sum('numPassedTests');
const failed = sum('numFailedTests', 'numRuntimeErrorTestSuites') + (passed === 0 ? 1 : 0);
const skipped = sum('numPendingTests', 'numTodoTests');
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
