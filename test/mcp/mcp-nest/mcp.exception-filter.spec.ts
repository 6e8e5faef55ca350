import { beforeAll, describe, expect, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { ConsentRequiredError, InsufficientScopeError } from 'authplane-nestjs';
import { AuthplaneMcpExceptionFilter, consentKey } from 'authplane-nestjs/mcp';
import { firstValueFrom, type Observable } from 'rxjs';
import { mcpContext, MODERN_ENVELOPE, rpcHost } from '../../support/hosts/mcp-nest-context.js';

// MCP-Nest itself is met in test/e2e/operations/consent-mcp-nest.spec.ts.

beforeAll(() => Logger.overrideLogger(false));

const issuer = 'https://auth.example.com';
const options = { client: { issuer, devMode: false } } as never;
const consentRequired = () =>
  new ConsentRequiredError('inner detail', {
    statusCode: 400,
    error: 'consent_required',
    consentUrl: `${issuer}/connect/google`,
    serviceId: 'google-cal',
  });

function answer(error: never, host: never, httpFilter = {} as never): Promise<unknown> {
  const filter = new AuthplaneMcpExceptionFilter(httpFilter, options);
  return firstValueFrom(filter.catch(error, host) as Observable<unknown>);
}

describe('AuthplaneMcpExceptionFilter', () => {
  it('answers the 2026 era with a result that MCP-Nest passes on', async () => {
    const host = rpcHost(mcpContext({ envelope: MODERN_ENVELOPE }));
    expect(await answer(consentRequired() as never, host)).toEqual({
      content: [],
      resultType: 'input_required',
      inputRequests: { [consentKey('google-cal')]: expect.anything() },
    });
  });

  it('answers the 2025 era with an error that SDK v2 takes for its own', async () => {
    const failure = answer(consentRequired() as never, rpcHost(mcpContext({})));
    await expect(failure).rejects.toMatchObject({ code: -32042, elicitations: [{ mode: 'url' }] });
    const error: unknown = await failure.catch((reason: unknown) => reason);
    const { ProtocolError, UrlElicitationRequiredError } =
      await import('@modelcontextprotocol/server');
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toBeInstanceOf(UrlElicitationRequiredError);
  });

  it('does not ask again who has just refused, even without the interceptor', async () => {
    const inputResponses = { [consentKey('google-cal')]: { action: 'decline' } };
    const host = rpcHost(mcpContext({ envelope: MODERN_ENVELOPE, inputResponses }));
    expect(await answer(consentRequired() as never, host)).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('You declined') }],
    });
  });

  it('asks nothing in methods that cannot', async () => {
    const host = rpcHost(mcpContext({ envelope: MODERN_ENVELOPE }, 'completion/complete'));
    await expect(answer(consentRequired() as never, host)).rejects.toMatchObject({ code: -32603 });
  });

  it('names missing scopes', async () => {
    const error = new InsufficientScopeError(['a', 'b'], { grantedScopes: ['granted'] });
    expect(await answer(error as never, rpcHost(mcpContext({})))).toEqual({
      isError: true,
      content: [
        { type: 'text', text: 'This operation needs an access token with these scopes: a b' },
      ],
    });
    const prompt = answer(error as never, rpcHost(mcpContext({}, 'prompts/get')));
    await expect(prompt).rejects.toMatchObject({
      code: -32603,
      message: expect.stringContaining('these scopes: a b'),
    });
  });

  it.each([undefined, {}, { mcpServer: {} }])(
    'tells other microservices the code only: %j',
    async (context) => {
      const failure = answer(consentRequired() as never, rpcHost(context));
      await expect(failure).rejects.toEqual({ status: 'error', message: 'consent_required' });
    },
  );

  it('leaves HTTP to the HTTP filter', () => {
    const error = consentRequired();
    const seen: unknown[] = [];
    const httpFilter = { catch: (...args: unknown[]) => void seen.push(args) };
    const host = { getType: () => 'http' } as never;
    new AuthplaneMcpExceptionFilter(httpFilter as never, options).catch(error, host);
    expect(seen).toEqual([[error, host]]);
  });
});
