/**
 * Every regular expression of what is published, and the longest text that it meets. The spec beside
 * it finds those that are missing here and measures each with text of that length.
 *
 * `boot` is text of the operator or the application (options, environment, decorators, URLs that the
 * application names), which nobody who sends requests has a hand in. `short` has been cut or refused
 * when it was longer.
 */

export const LENGTHS = {
  short: 4096,
  token: 8192, // MAX_TOKEN_LENGTH
  uri: 8192, // MAX_URI_LENGTH
  header: 16_384, // Node's limit for all header lines and the request target together
  answer: 262_144, // of the authorization server
  body: 1_048_576, // Fastify's limit, as it comes
} as const;

export type Meets = keyof typeof LENGTHS | 'boot';

export const EXPRESSIONS: Readonly<
  Record<string, readonly (readonly [expression: RegExp, meets: Meets])[]>
> = {
  'gateway/local/gateway-tool.ts': [[/^[A-Za-z0-9_.-]{1,128}$/, 'boot']],
  'gateway/options/upstream-options.ts': [
    [/^[a-z0-9][a-z0-9-]{0,23}$/, 'boot'],
    [/^[A-Za-z0-9_.-]{1,128}$/, 'boot'],
  ],
  'gateway/upstream/scope-map.ts': [[/\bscope="([^"]{0,4096})"/, 'header']],
  'gateway/wire/read-message.ts': [[/\r\n|[\r\n]/, 'body']],
  'core/discovery/authorization-server.ts': [[/\/+$/, 'boot']],
  'core/challenge-text.ts': [[/[^\x20\x21\x23-\x5b\x5d-\x7e]+/g, 'header']],
  'core/jws/claim-values.ts': [[/^\d{1,15}(?:\.\d{1,15})?$/, 'token']],
  'core/jws/signature-scheme.ts': [[/^[RP]S(256|384|512)$/, 'short']],
  'core/calls/client-authentication.ts': [[/\p{Cc}/u, 'boot']],
  'core/calls/applied-authentication.ts': [
    [/^[\w!#$%&'*+.^`|~-]+$/, 'boot'],
    [/^[\x20-\x7e]+$/, 'boot'],
    [/^basic /i, 'boot'],
  ],
  'core/jws/compact-jws.ts': [
    [/^e[3wy]/, 'token'],
    [/^[A-Za-z0-9_-]+$/, 'token'],
    [/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, 'token'],
  ],
  'core/calls/consent-url.ts': [
    [/^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/, 'short'],
    [/\/$/, 'boot'],
  ],
  'core/token/credentials.ts': [
    [/^(?:[A-Za-z][A-Za-z0-9-]{0,31})? *$/, 'header'],
    [/^[A-Za-z]+ +([A-Za-z0-9._~+/-]+=*)$/, 'header'],
    [/^[A-Za-z0-9._~+/-]+=*$/, 'header'],
    [/^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]* +\S/, 'header'],
    [/^[^\s]*/, 'header'],
    [/^[A-Za-z]+/, 'header'],
  ],
  'core/token/other-caller.ts': [[/^[a-z][a-z0-9_-]{0,31}$/, 'boot']],
  'core/dpop/nonce.ts': [[/^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/, 'header']],
  'core/dpop/signer.ts': [[/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'header']],
  'core/http/answer.ts': [
    [/^[\w!#$&^.+-]{1,80}\/[\w!#$&^.+-]{1,80}$/, 'header'],
    [/^application\/.+\+json$/, 'header'],
    [/^(?:utf-?8|"utf-?8")$/, 'header'],
  ],
  'core/dpop/expiries.ts': [[/^[\w-]{42}[AEIMQUYcgkosw048]$/, 'header']],
  'core/dpop/htu.ts': [
    [/^[\x21-\x5b\x5d-\x7e]+$/, 'header'],
    [/%(?![0-9A-Fa-f]{2})/, 'header'],
    [/%[0-9A-Fa-f]{2}/g, 'header'],
    [/[A-Za-z0-9._~-]/, 'header'],
    [/^(https?):\/\/([^/?#]*)([^?#]*)([?#].*)?$/is, 'header'],
    [/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(?::([1-9][0-9]{0,4})?)?$/, 'header'],
    [/^https?:\/\/[^/?#]*/i, 'header'],
    [/[?#]/, 'header'],
  ],
  'core/operations/token-response.ts': [[/^[\x21-\x7e]+$/, 'answer']],
  'core/calls/refusal.ts': [
    [/\berror="([^"]*)"/, 'header'],
    [/^[A-Za-z0-9_.:/-]{1,100}$/, 'short'],
    [/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/, 'short'],
    [/^\d{1,9}$/, 'short'],
    [/(?<![\w+-])(?=[\w+-]*[a-z])(?=[\w+-]*[A-Z])(?=[\w+-]*\d)[\w+-]{16,}={0,2}/g, 'short'],
    [/\beyJ[\w-]*\.[\w.-]+/g, 'short'],
    [/\b(https?:\/\/[^\s?#"']*)[?#][^\s"']*/gi, 'short'],
    [/\/+$/, 'boot'],
  ],
  'core/lib/option-checks.ts': [
    [/[?#][^]*$/, 'boot'],
    [/[^\x21-\x7e]/, 'boot'],
    [/^https?:\/\//i, 'boot'],
    [/^\/[^?#\s]*$/, 'boot'],
    [/^https?:/, 'boot'],
    [/[*{}]/, 'boot'],
  ],
  'core/options-from-env.ts': [[/[\s,]+/, 'boot']],
  'core/lib/text.ts': [
    [/[^\x20-\x7e]/g, 'short'],
    [/[^\x20-\x7e]+/g, 'short'],
    [/^[\w*.-]*$/, 'token'],
    [/%20|[!'()~]/g, 'token'],
  ],
  'core/dpop/nonce-retry.ts': [[/\berror="?use_dpop_nonce\b/, 'header']],
  'core/operations/fetch-as.ts': [
    [/^(?:content-|proxy-|sec-|x-forwarded|x-real-|x-client-|x-original-|:)/, 'header'],
    [
      /auth|token|cookie|session|secret|passw|credential|assertion|jwt|oidc|saml|api-?key|csrf/,
      'header',
    ],
    [/^(?:delete|get|head|options|post|put)$/i, 'header'],
    [/[^\w.-]/, 'header'],
    [/\beyJ/, 'header'],
  ],
  'core/names/host-name.ts': [
    [/^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i, 'short'],
  ],
  'core/names/path-template.ts': [
    [/^[A-Za-z][A-Za-z0-9_]{0,31}$/, 'boot'],
    [/^[A-Za-z0-9._~-]{1,128}$/, 'header'],
    [/[*{}()?+[\]\\!]/, 'boot'],
  ],
  'core/names/settings.ts': [[/\/+$/, 'boot']],
  'nest/resources/by-path.ts': [[/\/$/, 'boot']],
  'nest/resources/protected-resources.ts': [[/\/+$/, 'boot']],
  'core/resource-metadata.ts': [
    [
      /^resource_(?:name|documentation|policy_uri|tos_uri)(?:#[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8})?$/,
      'boot',
    ],
  ],
  'core/mcp/uri-table.ts': [
    [/\{[^{}]*\}|(?<doubt>[{}])/g, 'body'], // also templates that upstreams list
    [/\{\?[^}]*\}/g, 'boot'],
    [/(?:\{[^{}\\"]*\}|[:*](?!"))[$\u200c\u200d\p{ID_Continue}]*|(?<doubt>[{}\\]|[:*]")/gu, 'boot'],
    [/(?:%[\da-f]{2})+/gi, 'uri'],
  ],
  'core/mcp/uri-reader.ts': [
    [/\{\?[^}]*\}/g, 'boot'],
    [/\{(\w+)\*\}/g, 'boot'],
    [/\{(\w+)\}/g, 'boot'],
    [/[\\"]/, 'boot'],
    [/[()[\]+?!]/, 'boot'],
    [/[{}\\]|[:*]"/, 'boot'],
    [/\{\?([^}]*)\}/, 'boot'],
    [/\{([^{}]*)\}/, 'boot'],
    [/[{}]/, 'boot'],
    [/([:*][$_\p{ID_Start}][$\u200c\u200d\p{ID_Continue}]*)/u, 'boot'],
    [/[:*]/, 'boot'],
  ],
  'core/lib/scopes.ts': [[/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'token']],
  'core/dpop/sender-constraint.ts': [[/^[A-Za-z0-9_-]{43}$/, 'token']],
  'nest/mcp/allowed-origins.ts': [
    [/^https?:\/\/(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/, 'header'],
  ],
  'nest/http/event-stream.ts': [
    [/(?<=\n|\r(?!\n))/, 'body'],
    [/^data: ?/, 'body'],
    [/[\r\n]{0,2}$/, 'body'],
  ],
  'nest/front/express-front.ts': [[/^\/\.well-known\/oauth-protected-resource/, 'header']],
  'nest/boot/handler-boot-checks.ts': [[/mcp/i, 'boot']],
  'nest/context/judged-handlers.ts': [[/^[\w$]/, 'boot']],
  'nest/boot/self-check.ts': [[/\bscope="([^"]*)"/, 'header']],
  'nest/boot/requirement-boot-checks.ts': [[/[{*:]/, 'boot']],
  'nest/mcp/hosts/mcp-nestjs.ts': [
    [/^\/|\/$/g, 'boot'],
    [/\{[^}]*\}|\./g, 'boot'],
    [/[*+?()[\]|^$\\]/, 'boot'],
    [/\{[^}]*\}/g, 'boot'],
  ],
  'nest/mcp/body.ts': [[/^ ?= ?(?:utf-?8|"utf-?8") ?(?:;|$)/, 'header']],
  'nest/mcp/answers/hidden-names.ts': [
    [
      /[\ufdd0-\ufde9]|\\{1,8}u(fd[de][\da-f])|%(?:25){0,4}EF%(?:25){0,4}B7%(?:25){0,4}([9a][\da-f])|&#(?:x(fd[de][\da-f])|(6497[6-9]|649[89]\d|6500[01]));/gi,
      'body',
    ],
    [/%[\da-fA-F]{2}|[a-z]+/g, 'uri'],
  ],
  'nest/mcp/answers/hiding.ts': [[/^[\x20-\x7e]*$/, 'header']],
  'nest/mcp/answers/json-messages.ts': [[/^\ufeff/, 'body']],
  'nest/http/response-head.ts': [[/^\s*text\/event-stream\b/i, 'header']],
  'nest/mcp/state/sessions.ts': [
    [/^sessionId(?:\[|$)/, 'header'],
    [/[?&;#]/, 'header'],
  ],
  'nest/log/refusal-log.ts': [[/^\w{1,40}$/, 'short']],
  'nest/mcp/state/sent-events.ts': [[/[\r\n]/, 'body']],
  'nest/http/routes.ts': [
    [/^[a-z]+:\/\/[^/]*/i, 'header'],
    [/[?#;]/, 'header'],
    [/[/\\]/, 'header'],
    [/[*{}()]/, 'boot'],
  ],
};

/** Made at run time; the readers in the spec drive them. */
export const CONSTRUCTED: readonly string[] = ['nest/mcp/answers/hidden-names.ts'];
