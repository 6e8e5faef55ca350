import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';

const source = (path) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/**
 * What takes longest begins first, so that no worker has a long file left when the others are done. Those
 * that compute and those that wait take turns. A new one of more than about five seconds goes here.
 */
const LONGEST = [
  'gateway/gateway.spec.ts',
  'e2e/operations/operations.spec.ts',
  'docs/pages.spec.ts',
  'e2e/hosts/hosts-mcp-nest.spec.ts',
  'redis/replay-store.spec.ts',
  'package/layers.spec.ts',
  'package/api-report.spec.ts',
  'core/client.spec.ts',
  'e2e/operations/consent.spec.ts',
  'e2e/sample.spec.ts',
  'hostile/growth.spec.ts',
  'e2e/faults/availability.spec.ts',
  'e2e/operations/consent-mcp-nest.spec.ts',
  'core/http/client.spec.ts',
  'e2e/hosts/hosts.spec.ts',
  'e2e/hosts/attacked-mcp-nest.spec.ts',
  'nest/mcp/answers/stream-expiry.spec.ts',
  'nest/mcp/endpoint-rules.other-paths.spec.ts',
  'nest/mcp/answers/hiding.hosts.spec.ts',
  'gateway/legacy/legacy-server.spec.ts',
  'nest/resources/many-resources.spec.ts',
  'nest/context/handler-places.spec.ts',
  'nest/authplane.middleware.spec.ts',
  'hostile/canary.spec.ts',
  'core/discovery/jwks.spec.ts',
  'mcp/sdk/scoped.spec.ts',
  // Of the stress tests.
  'hostile/exchange-simulation.stress.spec.ts',
  'hostile/host-messages.stress.spec.ts',
  'nest/callers/other-credentials.tenants.stress.spec.ts',
  'core/mcp/uri-table.stress.spec.ts',
  'gateway/gateway.callers.stress.spec.ts',
  'hostile/json-rpc.stress.spec.ts',
  'nest/callers/other-credentials.stress.spec.ts',
  'core/jws/jws-signature.stress.spec.ts',
  // Of the packed package: those that need the same install do not begin together.
  'package/matrix/typescript-clients.spec.ts',
  'package/matrix/attacked-hosts.spec.ts',
  'package/matrix/mcp-nest-1-older.spec.ts',
  'package/matrix/matrix.spec.ts',
  'package/matrix/gateway-upstreams.spec.ts',
  'package/matrix/mcp-nest-1.9.spec.ts',
  'package/matrix/foreign-hosts.spec.ts',
  'package/matrix/mastra.spec.ts',
];

class LongestFirst extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

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
    // No secret of the run may be printed or thrown, and no application stays.
    setupFiles: ['test/support/canary/setup.ts', 'test/support/canary/left-running.ts'],
    // The specs of a worker share their modules, as an application does: loading Nest and the MCP
    // SDKs anew takes most of them longer than their tests.
    pool: 'forks',
    isolate: false,
    maxWorkers: 3, // on two cores, for many tests wait; each loads all modules
    sequence: { sequencer: LongestFirst },
    execArgv: ['--max-semi-space-size=64'],
    disableConsoleIntercept: true, // the watch hears what is written
    chaiConfig: { truncateThreshold: 0 },
    // Crowded machines are slow; what hangs is ended by `.ci/run`.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // With `--coverage`: fails below what is covered today, but for the 0.3 that differ from run to run. Raise them when they rise.
    coverage: {
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'lcovonly'],
      reportOnFailure: true, // one failed test of thousands does not hide the figures
      thresholds: { statements: 97.6, branches: 94.8, functions: 98.4, lines: 98.5 },
    },
  },
});
