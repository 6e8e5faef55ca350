import { describe, expect, it } from 'vitest';
import * as server from '../../../src/core/errors/server-errors.js';

describe('AuthorizationServerUnavailableError', () => {
  it.each<[number | undefined, number]>([
    [undefined, 5],
    [1, 1],
    [2.1, 3],
    [0.2, 1],
    [0, 1],
    [-5, 1],
    [120, 120],
  ])('retryAfterSeconds %j is %i: whole seconds, at least one', (given, seconds) => {
    const options = given === undefined ? {} : { retryAfterSeconds: given };
    const error = new server.AuthorizationServerUnavailableError('x', options);
    expect(error.retryAfterSeconds).toBe(seconds);
  });

  it('is a matter of waiting, unless it is said that the server is the wrong one', () => {
    expect(new server.JWKSFetchError('x').wrongServer).toBe(false);
    expect(new server.JWKSFetchError('x', { wrongServer: true }).wrongServer).toBe(true);
  });

  it.each<[new (message: string) => server.AuthorizationServerUnavailableError, string]>([
    [server.AuthorizationServerUnavailableError, 'authorization_server_unavailable'],
    [server.JWKSFetchError, 'jwks_fetch_error'],
    [server.MetadataFetchError, 'metadata_fetch_error'],
    [server.MissingMetadataEndpointError, 'missing_metadata_endpoint'],
    [server.CircuitOpenError, 'circuit_open'],
    [server.OutboundOverloadError, 'outbound_overload'],
  ])('%o is %s, and one of them', (Kind, code) => {
    const error = new Kind('why');
    expect(error).toBeInstanceOf(server.AuthorizationServerUnavailableError);
    expect([error.code, error.name]).toEqual([code, Kind.name]);
  });
});

describe('MissingMetadataEndpointError', () => {
  it('names the member, where it was looked for, and what to change', () => {
    const metadataUrl = 'https://auth.example.com/.well-known/oauth-authorization-server';
    const error = new server.MissingMetadataEndpointError('revocation_endpoint', { metadataUrl });
    expect(error.endpoint).toBe('revocation_endpoint');
    expect(error.message).toBe(
      `the authorization server's metadata (${metadataUrl}) has no revocation_endpoint; switch the feature ` +
        'on at the authorization server or do not use the operation that needs it',
    );
  });

  it('without a place says none; of the key set it says that this is no server for us', () => {
    const { message } = new server.MissingMetadataEndpointError('jwks_uri');
    expect(message).toMatch(
      /^the authorization server's metadata has no jwks_uri; it must name the/,
    );
    expect(message).toMatch(/set issuer to a server whose access tokens are JWTs$/);
  });
});

describe('ProtocolError', () => {
  it('has the status of the answer, where there was one', () => {
    expect(new server.ProtocolError('no access_token', { statusCode: 200 })).toMatchObject({
      code: 'protocol_error',
      statusCode: 200,
    });
    expect(new server.ProtocolError('x').statusCode).toBeUndefined();
  });
});
