import { describe, expect, it } from 'vitest';
import { mcpNestCall } from '../../../src/mcp/mcp-nest/mcp-nest-call.js';
import { mcpContext, MODERN_ENVELOPE, rpcHost } from '../../support/hosts/mcp-nest-context.js';

describe('the call that MCP-Nest 2 runs a handler for', () => {
  it('of 2026-07-28, by the context of the SDK', () => {
    const context = mcpContext({ envelope: MODERN_ENVELOPE }, 'prompts/get');
    expect(mcpNestCall(rpcHost(context))).toMatchObject({
      ...{ method: 'prompts/get', requestId: 1, era: '2026-07-28', urlElicitation: true },
    });
  });

  it('of 2025-11-25, with the capabilities of the session', () => {
    const withSession = (capabilities: unknown) => ({
      ...mcpContext({}),
      mcpServer: { server: { getClientCapabilities: () => capabilities } },
    });
    const elicits = (capabilities: unknown) =>
      mcpNestCall(rpcHost(withSession(capabilities)))?.urlElicitation;
    expect(elicits({ elicitation: { url: {} } })).toBe(true);
    expect(elicits({})).toBe(false);
    expect(mcpNestCall(rpcHost(mcpContext({})))?.era).toBe('2025-11-25');
  });

  it('the method of the request counts where the SDK does not say it', () => {
    const own = mcpContext({ method: undefined }, 'resources/read');
    expect(mcpNestCall(rpcHost(own))?.method).toBe('resources/read');
  });

  it.each([undefined, null, 'x', {}, { mcpServer: {}, mcpRequest: {} }])(
    'is none in another microservice: %o',
    (context) => {
      expect(mcpNestCall(rpcHost(context))).toBeUndefined();
    },
  );

  it('nor where the SDK hands out no context', () => {
    const context = { ...mcpContext({}), getArgByIndex: () => undefined };
    expect(mcpNestCall(rpcHost(context))).toBeUndefined();
  });
});
