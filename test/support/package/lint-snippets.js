/**
 * Reads `[{ file, code }]` from standard input and lints each piece as if it were that file, with
 * the project's own configuration less the rules that need types. Prints the ids of the rules that
 * complain, for each piece. Out of process, because ESLint and Vitest both bend module loading.
 */
import { text } from 'node:stream/consumers';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

const untyped = tseslint.configs.disableTypeChecked;
const eslint = new ESLint({ overrideConfig: { ...untyped, files: ['**/*.ts'] } });

const found = [];
for (const { file, code } of JSON.parse(await text(process.stdin))) {
  const [result] = await eslint.lintText(code, { filePath: file });
  found.push(result.messages.map(({ ruleId, message }) => ruleId ?? message));
}
console.log(JSON.stringify(found));
