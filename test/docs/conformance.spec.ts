import { describe, expect, it } from 'vitest';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { codeBlocks, pages } from '../support/docs/markdown.js';
import { tableBelow } from '../support/docs/table.js';

const PAGE = 'docs/conformance.md';

/** What shows each row: the beginning of its text, a spec, and words that stand in it. */
const SHOWN: Readonly<Record<string, readonly [spec: string, words: string]>> = {
  // Done otherwise
  'A request that carries the token in more': [
    'test/nest/authplane.guard.spec.ts',
    'two Authorization lines are refused',
  ],
  'Whoever gets no access': [
    'test/core/challenge.spec.ts',
    'that refuses access is a 403 without a challenge',
  ],
  'A server without OAuth metadata': ['test/testing/endpoints/discovery.spec.ts', 'well-known'],
  '`kid` is optional': ['test/core/discovery/jwks.spec.ts', 'no kid'],
  '`jku` and `x5u` are fetched': ['test/core/jws/compact-jws.spec.ts', "'jku', 'jwk', 'x5u'"],
  'A nested JWT': ['test/core/jws/compact-jws.spec.ts', "'cty'"],
  'Unknown members of a key': ['test/core/dpop/proof.spec.ts', 'refuses the jwk member %s'],
  'A key is used with one algorithm': [
    'test/core/discovery/jwks.spec.ts',
    'a key without alg verifies every algorithm of its type',
  ],
  'HS256 and `none`': ['test/e2e/refusals.spec.ts', 'signed with HS256 and the public key'],
  '`resource` is an absolute URI': [
    'test/core/operations/request-members.spec.ts',
    'slugs and other URIs go',
  ],
  '`token_type` may be `N_A`': ['test/core/operations/token-response.spec.ts', "token_type: 'N_A'"],
  'The server may grant another scope': [
    'test/core/operations/issued-tokens.spec.ts',
    'scope is wider than asked for',
  ],
  '`sub` is a subject that exists': ['test/core/token/access-token.spec.ts', "sub: 'user-1'"],
  'A client does not look into': [
    'test/core/calls/call.spec.ts',
    'a token that is bound to another key is refused',
  ],
  'An answer with another `token_type`': [
    'test/core/operations/fetch-as.spec.ts',
    'a token of the vault stays Bearer',
  ],
  'The resource server sends no proof': [
    'test/core/calls/call.spec.ts',
    'RFC 9449 §4.2: with a proof of its own',
  ],
  'Only a slash behind the host': [
    'test/nest/front/resource-metadata.route.spec.ts',
    'has its document at both spellings',
  ],
  '`resource` is the identifier': [
    'test/nest/front/resource-metadata.route.spec.ts',
    'answers at both URLs',
  ],
  'After a challenge, `resource`': [
    'test/nest/front/resource-metadata.route.spec.ts',
    'the URL in the challenge is the one that answers',
  ],
  '`iat` of a proof': ['test/core/dpop/proof.spec.ts', 'iat: NOW - 331'],
  'A request that needs a capability': [
    'test/support/consent/consent-suite.ts',
    'the link in words',
  ],
  // Met in part
  'The inbound token never reaches': ['test/core/operations/fetch-as.spec.ts', 'but for tokens'],
  'Validation comes before anything': ['test/e2e/hosts/hosts-mcp-nest.spec.ts', '413 : 400'],
  'No mode is used': ['test/mcp/answers/call.spec.ts', 'not known of a client of 2025-11-25'],
  'The URL of a consent page holds': ['test/core/calls/consent-url.spec.ts', 'consentUrlProblem'],
  'A task answers to its caller': ['test/nest/mcp/state/tasks.spec.ts', '9.9a'],
  'A confidential client': [
    'test/core/operations/request-members.spec.ts',
    'client credentials without credentials',
  ],
  'A challenge has at least': ['test/core/challenge.spec.ts', 'of a bare scheme or with the code'],
  'Actors nested in `act`': ['test/core/token/access-token.spec.ts', "act: { sub: 'earlier' }"],
  // Lenient
  'Dates with fractions': [
    'test/core/token/access-token.spec.ts',
    'fractions of seconds are dates',
  ],
  '`null` and `""`': [
    'test/core/operations/token-response.spec.ts',
    'an optional member that is %p',
  ],
  '`Ed25519` and `EdDSA`': ['test/core/dpop/proof.spec.ts', "['EdDSA', 'Ed25519']"],
  'The reply `OK` as bytes': ['test/redis/replay-store.spec.ts', 'OK as bytes is a yes'],
  'Requests without header lines': [
    'test/e2e/hosts/serverless.spec.ts',
    'a request with header lines',
  ],
};

const rows = [
  ...tableBelow(PAGE, 'Done otherwise, on purpose').map((row) => row['the text'] ?? ''),
  ...tableBelow(PAGE, 'Met in part').map((row) => row['the text'] ?? ''),
  ...tableBelow(PAGE, 'Lenient where only a neighbour differs').map((row) => row['what'] ?? ''),
];

describe('10.23: the page on conformance', () => {
  it('has every row that is shown here, and no other', () => {
    expect(rows.length).toBeGreaterThan(30);
    for (const begins of Object.keys(SHOWN)) {
      expect(rows.map((text) => [begins, text.startsWith(begins)])).toContainEqual([begins, true]);
    }
  });

  it.each(rows)('%s: a test shows it', (text) => {
    const [, shown] = Object.entries(SHOWN).find(([begins]) => text.startsWith(begins)) ?? [];
    const [spec, words] = shown ?? ['no spec is named', ''];
    expect([spec, existsSync(spec)]).toEqual([spec, true]);
    expect(readFileSync(spec, 'utf8')).toContain(words);
  });
});

describe('10.24: MCP transports: where there is no stream, GET is 405', () => {
  const samples = readdirSync('sample-app', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('dist'))
    .map((file) => ({
      page: `sample-app/${file}`,
      code: readFileSync(`sample-app/${file}`, 'utf8'),
    }));
  const controllers = [...pages.flatMap(codeBlocks), ...samples]
    .flatMap(({ page, code }) =>
      code.split(/(?=@Controller\()/).map((controller) => ({ page, controller })),
    )
    .filter(({ controller }) => /^@Controller\('mcp'\)[\s\S]*@Post\(\)/.test(controller));

  it('there are some', () => {
    expect(controllers.length).toBeGreaterThan(3);
  });

  it.each(controllers)('$page', ({ controller }) => {
    expect(controller).toMatch(/@Get\(\)\s+@HttpCode\(405\).*\s+@Header\('Allow', 'POST'\)/);
  });
});
