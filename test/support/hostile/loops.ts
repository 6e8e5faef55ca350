/**
 * Every function of what is published that has a loop, and what bounds it. The spec beside it finds those
 * that are missing here.
 *
 * `boot`: text or a number of the operator or the application. `bounded`: as many steps for any request;
 * what a memory of this package holds, members of an answer that it makes itself, keys of the authorization
 * server. Anything else is the name of the row in `READERS` that measures it.
 */
export type Bound = string;

export const LOOPS: Readonly<Record<string, Readonly<Record<string, Bound>>>> = {
  'core/challenge-text.ts': { challengeText: 'bounded' },
  'core/events.ts': { emit: 'boot' },
  'core/client.ts': { '#warn': 'boot' },
  'core/resource-metadata.ts': { withoutFinalSlash: 'boot' },
  'core/discovery/authorization-server.ts': { checkedMetadata: 'boot' },
  'core/discovery/key-set.ts': { read: 'bounded', select: 'bounded' },
  'core/dpop/htu.ts': { withoutDotSegments: 'htu with many segments' },
  'core/dpop/proof-key.ts': { requireCoordinates: 'bounded' },
  'core/dpop/replay-store.ts': {
    '#holds': 'bounded',
    '#dropExpired': 'bounded',
    '#sweep': 'bounded',
  },
  'core/http/answer.ts': { lowerCaseNames: 'bounded' },
  'core/http/client.ts': { close: 'bounded', '#dropIdle': 'bounded' },
  'core/http/fetch.ts': { readBody: 'bounded' },
  'core/http/socket.ts': { exchangeBySocket: 'bounded' },
  'core/lib/generations.ts': { add: 'bounded', remove: 'bounded' },
  'core/lib/rsa-strength.ts': { powersOf65537: 'boot' },
  'core/lib/scopes.ts': { challengeScopes: 'bounded', closure: 'boot' },
  'core/lib/settings.ts': { withDefaults: 'boot' },
  'core/lib/strict-json.ts': {
    deepFreeze: 'claims that are wide',
    refuseDeepOrDuplicate: 'wide JSON',
    endOfString: 'a JSON text of quotes',
    followedByColon: 'a JSON text of blanks',
  },
  'core/mcp/json-rpc.ts': { operationsOf: 'operations in a batch' },
  'core/mcp/operation-scopes.ts': { constructor: 'boot', firstProblem: 'boot' },
  'core/mcp/resource-uris.ts': {
    constructor: 'boot',
    '#add': 'boot',
    literalsOf: 'boot',
    withoutFinalSlashes: 'a resource URI of /',
    isExpansion: 'a table of templates',
  },
  'core/mcp/uri-variables.ts': {
    patternOf: 'boot',
    isWildcardAhead: 'boot',
    capture: 'variables of a template',
    farthestEnds: 'variables of a template',
  },
  'core/calls/applied-authentication.ts': {
    applyAuthentication: 'boot',
    requireHeaders: 'boot',
    requireParameters: 'boot',
  },
  'core/operations/fetch-as.ts': {
    prepare: 'many inbound headers',
    passedOn: 'many inbound headers',
  },
  'core/calls/refusal.ts': { descriptionOf: 'bounded' },
  'core/operations/revocation-check.ts': { contradiction: 'bounded' },
  'core/operations/token-cache.ts': {
    evict: 'bounded',
    evictRefused: 'bounded',
    '#drop': 'bounded',
  },
  'core/calls/call.ts': { '#attempt': 'bounded' },
  'core/operations/revoke.ts': { '#tell': 'bounded' },
  'core/token/compact-jws.ts': {
    parseCompactJws: 'a token of letters',
    threeSegments: 'a token of dots',
  },
  'core/token/credentials.ts': { linesOfRaw: 'many header lines' },
  'core/token/verified-tokens.ts': { forget: 'bounded' },
  'nest/authplane.module.ts': { '#announce': 'boot', '#warn': 'boot', addResource: 'boot' },
  'nest/handler-places.ts': { restoreGuards: 'boot', methodNames: 'boot' },
  'nest/method-check.ts': { replaceMethods: 'boot', copyAppearance: 'boot' },
  'nest/boot/after-bootstrap.ts': { constructor: 'boot' },
  'nest/boot/boot-inspection.ts': { constructor: 'boot' },
  'nest/boot/cache-checks.ts': { cachesByUrl: 'boot' },
  'nest/boot/mcp-nest-registry.ts': { registryOf: 'boot' },
  'nest/boot/self-check-targets.ts': { knownOperation: 'boot' },
  'nest/boot/self-check.ts': { '#check': 'boot', streamProblem: 'boot' },
  'nest/http/exchange.ts': { sendAlong: 'bounded' },
  'nest/http/request.ts': {
    dropHeader: 'a header that is dropped',
    publishCaller: 'bounded',
    publishUser: 'bounded',
  },
  'nest/http/response-rewrite.ts': { '#removeValidators': 'bounded' },
  'nest/log/sparse-warnings.ts': { warn: 'bounded' },
  'nest/marks/handler-marks.ts': { prototypesOf: 'boot' },
  'nest/mcp/body.ts': { isDeeperThan: 'depth of a body' },
  'nest/mcp/endpoint-answers.ts': { '#nameUnlisted': 'boot' },
  'nest/mcp/operation-judge.ts': {
    judge: 'hidden URIs in a batch',
    '#seenInstead': 'hidden URIs in a batch',
  },
  'nest/mcp/unlisted-names.ts': { constructor: 'boot', '#compare': 'a list in an answer' },
  'nest/mcp/answers/hidden-names.ts': {
    '#respelt': 'stand-ins of a URI of "a/"',
    lastLetterOf: 'the stand-in of a name',
  },
  'nest/mcp/answers/hiding.ts': { hide: 'names to hide' },
  'nest/mcp/answers/stream-expiry.ts': { endAll: 'bounded' },
  'nest/mcp/hosts/mcp-discovery.ts': { knownClasses: 'boot' },
  'nest/mcp/state/sent-events.ts': {
    '#makeRoom': 'bounded',
    push: 'event ids in small pieces',
    listen: 'bounded',
  },
  'nest/mcp/state/state-owners.ts': { '#makeRoom': 'bounded' },
  'nest/refusals/http-refusal.ts': { constructor: 'bounded' },
  'nest/refusals/refusals.ts': { setHeaders: 'bounded' },
  'mcp/serve-mcp.ts': { takeOver: 'bounded' },
  'mcp/answers/consent-flow.ts': { runWithConsent: 'bounded' },
  'mcp/answers/consent.ts': { consentResponses: 'answers of a user' },
  'mcp/sdk/scoped.ts': { adapt: 'boot' },
  'mcp/sdk/sdk-server.ts': { protocolOf: 'boot', hasHandlers: 'boot' },
  'mcp/sdk/with-consent.ts': { adaptRegistrations: 'boot' },
};
