import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const source = (path) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** `npm test`, and what `npm run test:stress` and `npm run test:package` have in common with it. */
export default defineConfig({
  resolve: {
    alias: [
      { find: /^authplane-nestjs$/, replacement: source('index.ts') },
      { find: /^authplane-nestjs\/([^/.]+)$/, replacement: source('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.spec.ts'],
    exclude: [...configDefaults.exclude, 'test/package/matrix/**', '**/*.stress.spec.ts'],
    // No secret of the run may be printed or thrown.
    setupFiles: ['test/support/canary/setup.ts'],
    // The specs of a worker share their modules, as an application does: loading Nest and the MCP
    // SDKs anew takes most of them longer than their tests.
    pool: 'forks',
    isolate: false,
    maxWorkers: 4, // on two cores, for many tests wait
    execArgv: ['--max-semi-space-size=64'],
    disableConsoleIntercept: true, // the watch hears what is written
    chaiConfig: { truncateThreshold: 0 },
    // Crowded machines are slow; what hangs is ended by `.ci/run`.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // With `--coverage`: fails below what is covered today. Raise the figures when they rise.
    coverage: {
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'lcovonly'],
      thresholds: { statements: 90, branches: 90, functions: 90, lines: 90 },
    },
  },
});
