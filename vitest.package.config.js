import { configDefaults } from 'vitest/config';
import base from './vitest.config.js';

/** What users install: needs `dist`, and the registry for the frameworks of other majors. */
export default {
  ...base,
  test: {
    ...base.test,
    include: ['test/package/matrix/*.spec.ts'],
    exclude: configDefaults.exclude,
    globalSetup: 'test/support/package/pack.ts',
    maxWorkers: 3, // they install and wait
    reporters: ['verbose'],
  },
};
