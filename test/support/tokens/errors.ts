/** Every error class of the core in one namespace, to be counted. */
export * from '../../../src/core/errors/authplane-error.js';
export * from '../../../src/core/errors/token-errors.js';
export * from '../../../src/core/errors/request-errors.js';
export * from '../../../src/core/errors/dpop-errors.js';
export * from '../../../src/core/errors/server-errors.js';
export * from '../../../src/core/errors/oauth-errors.js';
export * from '../../../src/core/errors/configuration-error.js';
