import { ConfigurationError } from './errors/configuration-error.js';
import type { AuthplaneModuleOptions } from './options.js';

/** `process.env`, or what stands for it. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Options from `AUTHPLANE_ISSUER`, `AUTHPLANE_BASE_URL` or `AUTHPLANE_RESOURCE`, `AUTHPLANE_SCOPES`
 * (separated by blanks or commas), `AUTHPLANE_CLIENT_ID` with `AUTHPLANE_CLIENT_SECRET`, and
 * `AUTHPLANE_DEV_MODE` (`true` or `false`). Unset and empty
 * variables leave the option out, so a missing one is named when the module checks its options.
 *
 * @throws ConfigurationError when `AUTHPLANE_DEV_MODE` is neither, or one of id and secret is missing.
 */
export function authplaneOptionsFromEnv(env: Environment = process.env): AuthplaneModuleOptions {
  const problems = [credentialsProblem(env), devModeProblem(env)].filter(
    (problem) => problem !== undefined,
  );
  if (problems.length > 0) throw new ConfigurationError(problems);
  const scopes = env['AUTHPLANE_SCOPES']?.split(/[\s,]+/).filter((scope) => scope !== '');
  const clientId = env['AUTHPLANE_CLIENT_ID'];
  const clientSecret = env['AUTHPLANE_CLIENT_SECRET'];
  const devMode = env['AUTHPLANE_DEV_MODE'];
  return {
    issuer: env['AUTHPLANE_ISSUER'] ?? '',
    ...(env['AUTHPLANE_BASE_URL'] ? { baseUrl: env['AUTHPLANE_BASE_URL'] } : {}),
    ...(env['AUTHPLANE_RESOURCE'] ? { resource: env['AUTHPLANE_RESOURCE'] } : {}),
    ...(scopes === undefined ? {} : { scopes }),
    ...(devMode ? { devMode: ON.includes(devMode) } : {}),
    ...(clientId && clientSecret ? { asCredentials: { clientId, clientSecret } } : {}),
  };
}

const ON = ['true', '1'];
const OFF = ['false', '0'];

function credentialsProblem(env: Environment): string | undefined {
  const isOneMissing = !env['AUTHPLANE_CLIENT_ID'] !== !env['AUTHPLANE_CLIENT_SECRET'];
  return isOneMissing
    ? 'AUTHPLANE_CLIENT_ID and AUTHPLANE_CLIENT_SECRET: set both or none'
    : undefined;
}

function devModeProblem({ AUTHPLANE_DEV_MODE: value }: Environment): string | undefined {
  if (!value || ON.includes(value) || OFF.includes(value)) return undefined;
  return 'AUTHPLANE_DEV_MODE: write true or false';
}
