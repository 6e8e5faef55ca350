import { configDefaults } from 'vitest/config';
import base from './vitest.config.js';

/**
 * Load and generated cases: `npm run test:stress`. Small without `AUTHPLANE_STRESS`; `.ci/run` sets it.
 */
export default {
  ...base,
  test: { ...base.test, include: ['test/**/*.stress.spec.ts'], exclude: configDefaults.exclude },
};
