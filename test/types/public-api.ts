/**
 * What the public types accept and refuse. Compiled by `npm run typecheck`: a line under
 * `@ts-expect-error` that compiles is an error.
 */
import { ConfigModule, ConfigService } from '@nestjs/config';
import type { DynamicModule } from '@nestjs/common';
import {
  AuthplaneError,
  type AuthplaneErrorCode,
  type AuthplaneFeatureAsyncOptions,
  AuthplaneModule,
  type AuthplaneModuleAsyncOptions,
  type AuthplaneOptionsFactory,
  type DPoPReplayStore,
  type TokenResponse,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  AuthplaneClient,
  type AuthplaneErrorCode as CodeOfCore,
  type AuthplaneResource,
  type ClaimRule,
  type InvalidClaimsError,
  type InvalidDPoPProofError,
} from 'authplane-nestjs/core';

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

// 11.1: a switch over all codes, checked for completeness by the compiler.
export function isAnOutage(error: unknown): boolean {
  if (!(error instanceof AuthplaneError)) return false;
  const { code } = error;
  switch (code) {
    case 'authorization_server_unavailable':
    case 'circuit_open':
    case 'jwks_fetch_error':
    case 'metadata_fetch_error':
    case 'missing_metadata_endpoint':
    case 'outbound_http_error':
    case 'outbound_overload':
    case 'callback_failed':
    case 'replay_store_unavailable':
      return true;
    case 'access_denied':
    case 'configuration_error':
    case 'consent_refused':
    case 'consent_required':
    case 'dpop_binding_mismatch':
    case 'dpop_error':
    case 'dpop_multiple_proofs':
    case 'dpop_nonce_required':
    case 'dpop_not_supported':
    case 'dpop_proof_missing':
    case 'dpop_replay_detected':
    case 'insufficient_scope':
    case 'interaction_required':
    case 'invalid_claims':
    case 'invalid_client':
    case 'invalid_dpop_proof':
    case 'invalid_grant':
    case 'invalid_request':
    case 'invalid_scope':
    case 'invalid_signature':
    case 'invalid_target':
    case 'invalid_token':
    case 'malformed_credentials':
    case 'credential_refused':
    case 'no_access_token':
    case 'no_caller':
    case 'not_found':
    case 'oauth_error':
    case 'origin_refused':
    case 'protocol_error':
    case 'server_error':
    case 'session_not_found':
    case 'slow_down':
    case 'temporarily_unavailable':
    case 'token_expired':
    case 'token_missing':
    case 'token_revoked':
    case 'token_too_long':
    case 'unauthorized_client':
    case 'unknown_resource':
    case 'unsupported_grant_type':
    case 'unsupported_token_type':
    case 'use_dpop_nonce':
    case 'unknown_operation':
    case 'upstream_busy':
    case 'upstream_failed':
    case 'upstream_rate_limited':
    case 'upstream_refused':
    case 'upstream_timeout':
    case 'upstream_unavailable':
      return false;
    default:
      return code satisfies never;
  }
}

export function oneIsForgotten(code: CodeOfCore): number {
  switch (code) {
    case 'token_missing':
      return 401;
    // @ts-expect-error there is no such code
    case 'token_misspelt':
      return 401;
    default:
      // @ts-expect-error most codes are left
      return code satisfies never;
  }
}

export function rulesOf(error: InvalidClaimsError | InvalidDPoPProofError): [ClaimRule, string?] {
  // @ts-expect-error the whole may have broken it
  error.claim satisfies string;
  const code: AuthplaneErrorCode = error.code;
  return [error.rule, error.claim ?? code];
}
