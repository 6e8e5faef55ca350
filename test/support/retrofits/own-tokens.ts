import { createHmac, timingSafeEqual } from 'node:crypto';

const SECRET = 'a secret of the application';

/** A token that an application signs for itself (HS256), as three of these do for sessions and keys. */
export function ownToken(claims: object): string {
  const [head, body] = [{ alg: 'HS256', typ: 'JWT' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${head}.${body}.${signatureOf(`${head}.${body}`)}`;
}

/** What it says, or `undefined` where it is no token of the application's. */
export function readOwnToken(token: string | undefined): Record<string, unknown> | undefined {
  const [head = '', body = '', signature = ''] = token?.split('.') ?? [];
  const given = Buffer.from(signature);
  const expected = Buffer.from(signatureOf(`${head}.${body}`));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
}

function signatureOf(text: string): string {
  return createHmac('sha256', SECRET).update(text).digest('base64url');
}

export function cookieOf(header: string | undefined, name: string): string | undefined {
  const cookies = header?.split('; ') ?? [];
  return cookies.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}

export function bearerOf(header: string | undefined): string | undefined {
  return header?.startsWith('Bearer ') === true ? header.slice('Bearer '.length) : undefined;
}
