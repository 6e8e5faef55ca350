/**
 * What the public types accept and refuse. Compiled by `npm run typecheck`: a line under
 * `@ts-expect-error` that compiles is an error.
 */
import { ConfigModule, ConfigService } from '@nestjs/config';
import type { DynamicModule } from '@nestjs/common';
import {
  type AuthplaneFeatureAsyncOptions,
  AuthplaneModule,
  type AuthplaneModuleAsyncOptions,
  type AuthplaneOptionsFactory,
  type DPoPReplayStore,
  type TokenResponse,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { AuthplaneClient, type AuthplaneResource } from 'authplane-nestjs/core';

interface Environment {
  readonly AUTHPLANE_ISSUER: string;
}

AuthplaneModule.forRootAsync({
  imports: [ConfigModule],
  inject: [ConfigService],
  useFactory: (config: ConfigService) => ({
    issuer: config.getOrThrow<string>('AUTHPLANE_ISSUER'),
    baseUrl: config.getOrThrow<string>('AUTHPLANE_BASE_URL'),
    scopes: ['tools/query'],
  }),
});

// A typed ConfigService, an asynchronous factory, several dependencies.
AuthplaneModule.forRootAsync({
  inject: [ConfigService, { token: 'settings', optional: true }],
  useFactory: async (config: ConfigService<Environment, true>, settings?: { base: string }) => {
    await Promise.resolve();
    return {
      issuer: config.get('AUTHPLANE_ISSUER'),
      baseUrl: settings?.base ?? 'https://a.example',
    };
  },
});

class OptionsFactory implements AuthplaneOptionsFactory {
  createAuthplaneOptions() {
    return { issuer: 'https://as.example', resource: 'https://rs.example/mcp' };
  }
}
AuthplaneModule.forRootAsync({ useClass: OptionsFactory, guard: 'global', isGlobal: false });
AuthplaneModule.forRootAsync({ useExisting: OptionsFactory, filter: false, metadataRoute: false });

// Parameters get their types from the classes in `inject`.
AuthplaneModule.forRootAsync({
  inject: [ConfigService, 'settings'],
  useFactory: (config, settings) => {
    const unknownType: unknown = settings;
    return { issuer: config.getOrThrow<string>('ISSUER'), resource: String(unknownType) };
  },
});

// 10.21: annotations that `inject` contradicts.
AuthplaneModule.forRootAsync({
  inject: [ConfigService],
  // @ts-expect-error Nest hands in a ConfigService
  useFactory: (count: number) => ({ issuer: 'https://as.example', clockSkewSeconds: count }),
});
AuthplaneModule.forFeatureAsync({
  name: 'billing',
  inject: [ConfigService],
  // @ts-expect-error Nest hands in a ConfigService
  useFactory: (count: number) => ({ mcpPath: '/billing', clockSkewSeconds: count }),
});
AuthplaneModule.forRootAsync({
  inject: [ConfigService],
  // @ts-expect-error there is one dependency
  useFactory: (config: ConfigService, other: ConfigService) => other.getOrThrow('OPTIONS'),
});
AuthplaneModule.forFeatureAsync({
  name: 'billing',
  inject: [ConfigService, 'path'],
  useFactory: (config, path: string) => ({
    mcpPath: path,
    scopes: [config.getOrThrow<string>('SCOPE')],
  }),
});

// Options that are put together elsewhere.
export function rootWith(options: AuthplaneModuleAsyncOptions): DynamicModule {
  return AuthplaneModule.forRootAsync(options);
}
export function featureWith(options: AuthplaneFeatureAsyncOptions): DynamicModule {
  return AuthplaneModule.forFeatureAsync(options);
}

// @ts-expect-error the issuer is required
AuthplaneModule.forRoot({ resource: 'https://rs.example/mcp' });
// @ts-expect-error a misspelt option
AuthplaneModule.forRoot({ issuer: 'https://as.example', dev_mode: true });
AuthplaneModule.forRootAsync({
  useFactory: () => ({ issuer: 'https://as.example' }),
  // @ts-expect-error a misspelt extra
  guard: 'all',
});
// @ts-expect-error a factory that forgets the issuer
AuthplaneModule.forRootAsync({ useFactory: () => ({ baseUrl: 'https://rs.example' }) });
// @ts-expect-error nothing that makes options
AuthplaneModule.forRootAsync({ guard: 'global' });
// @ts-expect-error a class that makes no options
AuthplaneModule.forRootAsync({ useClass: ConfigService });

export async function readOnly(resource: AuthplaneResource, token: string): Promise<void> {
  const claims: VerifiedClaims = await resource.verify(token);
  // @ts-expect-error claims cannot be changed
  claims.sub = 'root';
  // @ts-expect-error nor their lists
  claims.scopes.push('admin');
}

export async function lifetime(client: AuthplaneClient): Promise<number> {
  const token: TokenResponse = await client.clientCredentials({ scopes: ['a'] });
  // @ts-expect-error the server may have sent none
  const seconds: number = token.expiresIn;
  return seconds;
}

export const store: DPoPReplayStore = {
  checkAndStore: (key: string, expiresAtSeconds: number) => key.length > 0 && expiresAtSeconds > 0,
};

// @ts-expect-error made by AuthplaneClient.create
new AuthplaneClient();
