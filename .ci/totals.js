/**
 * Adds up the reports that Vitest has left in a folder: prints what failed, and the figures as the last
 * line. A spec file that could not run at all counts as one failure, and so does a run that has
 * executed no test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const SHOWN_LINES = 12; // of a failure; the whole stands where it happened

const folder = process.argv[2] ?? '.';
const reports = readdirSync(folder).map((name) =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')),
);
const files = reports.flatMap((report) => report.testResults);
const broken = files.filter(
  (file) => file.status === 'failed' && file.assertionResults.length === 0,
);
const failures = files.flatMap((file) =>
  file.assertionResults
    .filter((test) => test.status === 'failed')
    .map((test) => ({ file, name: test.fullName, message: test.failureMessages.join('\n') })),
);

for (const { file, name, message } of [
  ...broken.map((file) => ({ file, name: '(the file)', message: file.message })),
  ...failures,
]) {
  console.log(`\nfailed: ${relative('.', file.name)}: ${name}`);
  console.log(message.split('\n').slice(0, SHOWN_LINES).join('\n'));
}

const sum = (...members) =>
  reports
    .flatMap((report) => members.map((member) => report[member]))
    .reduce((total, count) => total + count, 0);

const passed = sum('numPassedTests');
const failed = sum('numFailedTests') + broken.length + (passed === 0 ? 1 : 0);
const skipped = sum('numPendingTests', 'numTodoTests');
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
