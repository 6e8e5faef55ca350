import { expect } from 'vitest';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { resolveModuleOptions } from '../../../src/core/options.js';

export const ISSUER = 'https://auth.example.com';
export const RESOURCE = 'https://api.example.com/mcp';
/** The least that a module needs. */
export const VALID = { issuer: ISSUER, resource: RESOURCE };

/** The problems that the module finds; `never` because hostile options have no type. */
export function moduleProblems(options: unknown): readonly string[] {
  try {
    resolveModuleOptions(options as never);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as ConfigurationError).problems;
  }
}

/** Those of one option beside what is needed. */
export function optionProblems(name: string, value: unknown): readonly string[] {
  return moduleProblems({ ...VALID, [name]: value });
}
