import { Injectable } from '@nestjs/common';
import type { IncomingRequest, OtherCaller } from 'authplane-nestjs';

/** What is used of an authentication library such as `better-auth`: `auth.api`. */
export abstract class AuthService {
  abstract getSession(of: { headers: Headers }): Promise<{
    readonly session: { readonly id: string; readonly expiresAt: Date };
    readonly user: { readonly id: string };
  } | null>;
}

@Injectable()
export class SignedIn {
  constructor(private readonly auth: AuthService) {}

  async ofCookie({ headers }: IncomingRequest): Promise<OtherCaller | undefined> {
    if (headers.cookie === undefined) return undefined;
    const found = await this.auth.getSession({ headers: new Headers({ cookie: headers.cookie }) });
    if (found === null) return undefined;
    return {
      method: 'session',
      sub: found.user.id,
      scopes: ['notes:read', 'notes:write'],
      from: 'ambient', // only pages of our own origin, and of mcp.allowedOrigins
      expiresAt: found.session.expiresAt.getTime() / 1000,
    };
  }
}
