import { createHmac, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { IncomingRequest, OtherCaller } from 'authplane-nestjs';

/** The `store` that you give to `express-session`; Passport keeps the user in it. */
export abstract class SessionStore {
  abstract get(
    id: string,
    callback: (error: unknown, session?: StoredSession | null) => void,
  ): void;
}

export interface StoredSession {
  readonly cookie?: { readonly expires?: Date | string | null };
  readonly passport?: { readonly user?: string };
}

export class SessionSecret {
  constructor(readonly value: string) {}
}

@Injectable()
export class Sessions {
  constructor(
    private readonly store: SessionStore,
    private readonly secret: SessionSecret,
  ) {}

  async ofCookie({ headers }: IncomingRequest): Promise<OtherCaller | undefined> {
    const id = this.idIn(headers.cookie ?? '');
    const session = id && (await this.stored(id));
    const user = session ? session.passport?.user : undefined;
    if (!session || user === undefined) return undefined; // a stale cookie is no reason to refuse a token
    const expires = session.cookie?.expires;
    return {
      method: 'session',
      sub: user,
      scopes: ['notes:read', 'notes:write'], // what your own pages may do
      from: 'ambient',
      expiresAt: expires ? new Date(expires).getTime() / 1000 : undefined,
    };
  }

  private stored(id: string): Promise<StoredSession | null | undefined> {
    return new Promise((resolve, reject) => {
      this.store.get(id, (error, session) => {
        if (error) reject(new Error('no session store', { cause: error }));
        else resolve(session);
      });
    });
  }

  /** `s:<id>.<signature>`, as `express-session` signs its cookie. */
  private idIn(cookies: string): string | undefined {
    const value = /(?:^|; )connect\.sid=([^;]{1,1000})/.exec(cookies)?.[1];
    const [, id = '', signature = ''] =
      /^s:([^.]+)\.(.+)$/.exec(decodeURIComponent(value ?? '')) ?? [];
    const expected = createHmac('sha256', this.secret.value).update(id).digest();
    const given = Buffer.from(signature, 'base64');
    return given.length === expected.length && timingSafeEqual(given, expected) ? id : undefined;
  }
}
