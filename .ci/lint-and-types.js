/**
 * What `npm run lint` and `npm run typecheck` say, from one program: the compiler and ESLint's rules ask
 * for the same types, and to find them takes longer than all the rest.
 */
import { ESLint } from 'eslint';
import ts from 'typescript';

const { options, fileNames } = ts.getParsedCommandLineOfConfigFile(
  'tsconfig.json',
  { noEmit: true },
  ts.sys,
);
const host = ts.createCompilerHost(options, true); // ESLint goes from a node to its parents, too
const program = ts.createProgram(fileNames, options, host);
const problems = ts.getPreEmitDiagnostics(program);
process.stdout.write(ts.formatDiagnostics(problems, host));

const eslint = new ESLint({
  overrideConfig: {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { programs: [program] } },
  },
});
const results = await eslint.lintFiles(['.']);
process.stdout.write((await eslint.loadFormatter()).format(results));
const hasProblems = results.some(({ errorCount, warningCount }) => errorCount + warningCount > 0);
console.log(`${fileNames.length} files compiled, ${results.length} linted`);
process.exitCode = problems.length > 0 || hasProblems ? 1 : 0;
