import base from './jest.config.js';

/**
 * What users install: needs `dist`, and the registry for the frameworks of other majors.
 *
 * @type {import('jest').Config}
 */
export default {
  ...base,
  roots: ['<rootDir>/test/package/matrix'],
  testPathIgnorePatterns: [],
  maxWorkers: 1,
  verbose: true,
  testTimeout: 300_000,
};
