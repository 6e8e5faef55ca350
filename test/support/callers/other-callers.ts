import type { OtherCaller, OtherCredentials } from 'authplane-nestjs';
import { CredentialRefusedError } from 'authplane-nestjs';

/** Keys and sessions of a made-up application: the credential says what it may do, `bob:notes:write`. */
export const otherCredentials: OtherCredentials = ({ headers }) => {
  const key = headers['x-api-key'];
  if (key === 'revoked') throw new CredentialRefusedError('the key was revoked');
  if (typeof key === 'string') return callerOf('api_key', key);
  const bearer = /^Bearer rf_(.+)$/.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return { ...callerOf('rf', bearer), from: 'authorization' };
  const session = /(?:^|; )sid=([^;]+)/.exec(headers.cookie ?? '')?.[1];
  if (session !== undefined) return { ...callerOf('session', session), from: 'ambient' };
  return undefined;
};

export function callerOf(method: string, credential: string): OtherCaller {
  const [sub = '', ...scopes] = credential.split('+');
  return { method, sub, scopes };
}
