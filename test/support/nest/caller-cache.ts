import { CACHE_MANAGER, CacheInterceptor } from '@nestjs/cache-manager';
import { type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthContext } from 'authplane-nestjs';

/** Remembers answers for each caller. */
@Injectable()
export class CallerCacheInterceptor extends CacheInterceptor {
  constructor(
    @Inject(CACHE_MANAGER) cache: object,
    reflector: Reflector,
    private readonly caller: AuthContext,
  ) {
    super(cache, reflector);
  }

  protected override async trackBy(context: ExecutionContext): Promise<string | undefined> {
    const url = await super.trackBy(context);
    if (url === undefined || url === null) return undefined; // not to be remembered
    const claims = this.caller.current?.claims; // nobody on a @Public() handler
    const who = claims && [claims.sub, claims.clientId, ...[...claims.scopes].sort()];
    return JSON.stringify([url, who ?? null]);
  }
}
