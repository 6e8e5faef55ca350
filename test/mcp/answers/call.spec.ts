import { describe, expect, it } from 'vitest';
import { mcpCall } from '../../../src/mcp/answers/call.js';

// Real contexts of both SDKs are met in test/e2e/operations/consent.spec.ts.

type HeaderLines = Readonly<Record<string, string>>;

const contexts: Record<string, (headers: HeaderLines) => object> = {
  'SDK v1': (headers) => ({ requestId: 1, requestInfo: { headers } }),
  'SDK v2': (headers) => ({
    mcpReq: { id: 1, method: 'tools/call' },
    http: { req: new Request('http://localhost/mcp', { headers }) },
  }),
};

describe.each(Object.entries(contexts))('URL elicitation of a 2025 call in %s', (_, context) => {
  const urlElicitation = (headers: HeaderLines, sessionCapabilities?: unknown) =>
    mcpCall({ sdkContext: context(headers), sessionCapabilities })?.urlElicitation;
  const revision = (version: string) => ({ 'mcp-protocol-version': version });

  it.each(['2024-11-05', '2025-03-26', '2025-06-18'])(
    'without a session: %s does not know it',
    (version) => {
      expect(urlElicitation(revision(version))).toBe(false);
    },
  );

  it('without a session: not known of a client of 2025-11-25', () => {
    expect(urlElicitation(revision('2025-11-25'))).toBeUndefined();
  });

  it('without a session: a request that names no revision is of 2025-03-26', () => {
    expect(urlElicitation({})).toBe(false);
  });

  it('with a session: as declared', () => {
    const declared = { elicitation: { url: {} } };
    expect(urlElicitation(revision('2025-06-18'), declared)).toBe(true);
    expect(urlElicitation(revision('2025-11-25'), { elicitation: {} })).toBe(false);
  });
});

describe('mcpCall', () => {
  it.each([
    { requestId: 1 },
    { mcpReq: { id: 1 } },
    { mcpReq: { id: 1 }, http: { authInfo: {}, req: undefined } },
  ])('knows nothing of what a client can do where there is no HTTP: %j', (sdkContext) => {
    expect(mcpCall({ sdkContext, sessionCapabilities: undefined })).toMatchObject({
      era: '2025-11-25',
      urlElicitation: undefined,
    });
  });

  it('asks a request of the 2026 era, whatever its header says', () => {
    const envelope = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } },
    };
    const req = new Request('http://localhost', {
      headers: { 'mcp-protocol-version': '2025-06-18' },
    });
    const sdkContext = { mcpReq: { id: 1, method: 'tools/call', envelope }, http: { req } };
    expect(mcpCall({ sdkContext, sessionCapabilities: undefined })).toMatchObject({
      era: '2026-07-28',
      urlElicitation: true,
    });
  });

  it.each([undefined, null, {}, { requestId: {} }, 'text'])(
    'is none outside a handler of an MCP SDK: %j',
    (sdkContext) => {
      expect(mcpCall({ sdkContext, sessionCapabilities: undefined })).toBeUndefined();
    },
  );
});
