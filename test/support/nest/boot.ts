import { afterEach, beforeEach, vi, type MockInstance } from 'vitest';
import { Logger } from '@nestjs/common';
import { ConfigurationError } from 'authplane-nestjs';
import { type McpApp, type McpAppOptions, startMcpApp } from './mcp-app.js';

type StartOptions = Partial<McpAppOptions>;

/** Starts applications of a spec, hears what they warn of, and closes them. */
export function bootHarness(scopes: readonly string[] = ['of:class', 'known']) {
  let server: McpApp | undefined;
  let warn: MockInstance<Logger['warn']>;
  let log: MockInstance<Logger['log']>;
  beforeEach(() => {
    warn = vi.spyOn(Logger.prototype, 'warn');
    log = vi.spyOn(Logger.prototype, 'log');
  });
  const close = async () => {
    await server?.close();
    server = undefined;
    warn.mockClear();
    log.mockClear();
  };
  afterEach(async () => {
    await close();
    vi.restoreAllMocks();
  });

  const start = async (options: StartOptions = {}): Promise<McpApp> => {
    await close();
    server = await startMcpApp({
      platform: 'express',
      ...options,
      options: { scopes, ...options.options },
    });
    return server;
  };
  const texts = (spy: { readonly mock: { readonly calls: readonly unknown[][] } }) =>
    spy.mock.calls.map(([message]) => String(message));
  return {
    start,
    /** Without the one about the development mode. */
    warnings: () => texts(warn).filter((text) => !text.includes('devMode')),
    logged: () => texts(log),
    /** Why the application does not start; what it warns of when it may. */
    async refusal(options: StartOptions = {}): Promise<string> {
      try {
        await start(options);
        return '';
      } catch (error) {
        if (error instanceof ConfigurationError) return error.message;
        throw error;
      }
    },
    async allowed(options: StartOptions = {}): Promise<string> {
      await start({ ...options, options: { ...options.options, allowUnguarded: true } });
      return texts(warn).join('\n');
    },
  };
}
