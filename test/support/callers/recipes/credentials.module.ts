import { createHash } from 'node:crypto';
import { Module } from '@nestjs/common';
import { ApiKeys, ApiKeyTable, type ApiKeyRow } from './api-keys.js';
import { AuthService, SignedIn } from './auth-service.js';
import { Sessions, SessionSecret, SessionStore, type StoredSession } from './sessions.js';

export const SECRET = 'a secret of the sessions';

/** Keys by themselves; kept by hash, as the recipe wants it. */
export const keys = new Map<string, ApiKeyRow>();
export const sessions = new Map<string, StoredSession>();
export const signedIn = new Map<string, { user: string; expiresAt: Date }>();

const apiKeyTable: ApiKeyTable = {
  find: async (sha256) => {
    await Promise.resolve();
    const hash = (key: string) => createHash('sha256').update(key).digest('hex');
    return [...keys].find(([key]) => hash(key) === sha256)?.[1] ?? null;
  },
};

const sessionStore: SessionStore = {
  get: (id, callback) => setImmediate(() => callback(null, sessions.get(id))),
};

const authService: AuthService = {
  getSession: async ({ headers }) => {
    await Promise.resolve();
    const id = /better-auth\.session_token=(\w+)/.exec(headers.get('cookie') ?? '')?.[1] ?? '';
    const found = signedIn.get(id);
    if (found === undefined) return null;
    return { session: { id, expiresAt: found.expiresAt }, user: { id: found.user } };
  },
};

/** What an application has of its own. */
@Module({
  providers: [
    ApiKeys,
    Sessions,
    SignedIn,
    { provide: ApiKeyTable, useValue: apiKeyTable },
    { provide: SessionStore, useValue: sessionStore },
    { provide: AuthService, useValue: authService },
    { provide: SessionSecret, useValue: new SessionSecret(SECRET) },
  ],
  exports: [ApiKeys, Sessions, SignedIn],
})
export class CredentialsModule {}
