import { createHash } from 'node:crypto';
import { Module } from '@nestjs/common';
import { ApiKeys, ApiKeyTable, type ApiKeyRow } from './api-keys.js';
import { AuthService, SignedIn } from './auth-service.js';
import { Greetings, MeController, type UserRow, Users, UserTable } from './users.js';
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

const rows: readonly UserRow[] = ['bob', 'carol', 'dave', 'user-1'].map((sub, at) => ({
  id: 7 + at,
  sub,
  roles: ['editor'],
}));

const userTable: UserTable = {
  findBySub: async (sub) => {
    await Promise.resolve();
    return rows.find((row) => row.sub === sub) ?? null;
  },
};

/** What an application has of its own. */
@Module({
  controllers: [MeController],
  providers: [
    ApiKeys,
    Sessions,
    SignedIn,
    Users,
    Greetings,
    { provide: UserTable, useValue: userTable },
    { provide: ApiKeyTable, useValue: apiKeyTable },
    { provide: SessionStore, useValue: sessionStore },
    { provide: AuthService, useValue: authService },
    { provide: SessionSecret, useValue: new SessionSecret(SECRET) },
  ],
  exports: [ApiKeys, Sessions, SignedIn, Users],
})
export class CredentialsModule {}
