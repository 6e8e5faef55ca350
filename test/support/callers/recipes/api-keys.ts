import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { CredentialRefusedError, type IncomingRequest, type OtherCaller } from 'authplane-nestjs';

/** Yours: finds a key by the hash that you keep of it. */
export abstract class ApiKeyTable {
  abstract find(sha256: string): Promise<ApiKeyRow | null>;
}

export interface ApiKeyRow {
  readonly id: string;
  readonly userId: string;
  readonly scopes: readonly string[];
  /** Seconds since 1970. */
  readonly expiresAt?: number;
}

@Injectable()
export class ApiKeys {
  constructor(private readonly table: ApiKeyTable) {}

  /** In a header of its own: beside an access token it is a 400. */
  ofHeader({ headers }: IncomingRequest): Promise<OtherCaller> | undefined {
    const key = headers['x-api-key'];
    return typeof key === 'string' ? this.callerOf(key) : undefined;
  }

  /** As `Bearer rf_…`: the prefix tells it from an access token. */
  async ofAuthorization({ headers }: IncomingRequest): Promise<OtherCaller | undefined> {
    const [, key] = /^Bearer +(rf_[A-Za-z0-9]{1,100})$/i.exec(headers.authorization ?? '') ?? [];
    if (key === undefined) return undefined; // OAuth decides
    return { ...(await this.callerOf(key)), from: 'authorization' };
  }

  private async callerOf(key: string): Promise<OtherCaller> {
    const row = await this.table.find(createHash('sha256').update(key).digest('hex'));
    if (row === null) throw new CredentialRefusedError('no such API key');
    const { id, userId, scopes, expiresAt } = row;
    return { method: 'api_key', sub: userId, clientId: id, scopes, expiresAt };
  }
}
