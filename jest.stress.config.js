import base from './jest.config.js';

/**
 * Load and generated cases: `npm run test:stress`. Small without `AUTHPLANE_STRESS`; `.ci/run` sets it.
 *
 * @type {import('jest').Config}
 */
export default {
  ...base,
  testMatch: ['**/*.stress.spec.ts'],
  testPathIgnorePatterns: [],
};
