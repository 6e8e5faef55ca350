/** Where everything lives; each path is appended to the issuer as it stands. */
export const PATHS = {
  authorize: '/oauth/authorize',
  token: '/oauth/token',
  register: '/oauth/register',
  revoke: '/oauth/revoke',
  introspect: '/oauth/introspect',
  /** A prefix: the provider follows. */
  connect: '/connect/',
  connections: '/connections',
  jwks: '/.well-known/jwks.json',
  movedJwks: '/keys/jwks.json',
} as const;
