/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  maxWorkers: '100%', // Jest leaves one core idle otherwise, and many tests wait
  roots: ['<rootDir>/src', '<rootDir>/test'],
  // `npm run test:package`, which installs whole applications, and `npm run test:stress`.
  testPathIgnorePatterns: ['<rootDir>/test/package/matrix/', '\\.stress\\.spec\\.ts$'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^authplane-nestjs$': '<rootDir>/src/index.ts',
    '^authplane-nestjs/([^/.]+)$': '<rootDir>/src/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  // With `--coverage`.
  collectCoverageFrom: ['src/**/*.ts'],
  coverageReporters: ['text-summary', 'lcovonly'],
  // No secret of the run may be printed or thrown.
  setupFilesAfterEnv: ['<rootDir>/test/support/canary/setup.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { useESM: true, tsconfig: 'tsconfig.json' }] },
  testTimeout: 300_000, // crowded machines are slow; what hangs is ended by `.ci/run`
};
