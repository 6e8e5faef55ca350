import { scopeCoverage } from '../../../src/core/lib/scopes.js';
import type { Caller } from '../../../src/core/token/caller.js';
import { VerifiedClaims } from '../../../src/core/token/verified-claims.js';

/** Somebody with a verified token of these scopes. */
export function callerOf(
  scopes: readonly string[],
  hierarchy = {},
  agentChain: readonly string[] = [],
): Caller {
  const claims = new VerifiedClaims(
    {
      issuer: 'https://as.example',
      sub: 'alice',
      clientId: 'client',
      audience: [],
      expiresAt: 0,
      issuedAt: 0,
      notBefore: 0,
      jti: '',
      kid: '',
      scopes,
      agentId: '',
      agentChain,
      act: undefined,
      raw: {},
    },
    scopeCoverage(hierarchy),
  );
  return { claims, method: 'access_token', resource: 'https://mcp.example/mcp' };
}
