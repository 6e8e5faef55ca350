import { beforeAll, describe, expect, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { ConsentRequiredError, InsufficientScopeError } from 'authplane-nestjs';
import {
  AuthplaneMcpExceptionFilter,
  AuthplaneMcpInterceptor,
  consentKey,
} from 'authplane-nestjs/mcp';
import { defer, firstValueFrom, type Observable } from 'rxjs';

// MCP-Nest itself is met in test/e2e/operations/consent-mcp-nest.spec.ts.

beforeAll(() => Logger.overrideLogger(false));

const issuer = 'https://auth.example.com';
const options = { client: { issuer, devMode: false } } as never;
const modernEnvelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } },
};

function rpcHost(context: unknown) {
  return { getType: () => 'rpc', switchToRpc: () => ({ getContext: () => context }) } as never;
}

function mcpContext(request: object, method = 'tools/call') {
  const sdkContext = { mcpReq: { id: 1, method, ...request } };
  return {
    mcpServer: { server: { getClientCapabilities: () => undefined } },
    mcpRequest: { method },
    getArgByIndex: (index: number) => (index === 4 ? sdkContext : undefined),
  };
}

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
    const host = rpcHost(mcpContext({ envelope: modernEnvelope }));
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
    const host = rpcHost(mcpContext({ envelope: modernEnvelope, inputResponses }));
    expect(await answer(consentRequired() as never, host)).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('You declined') }],
    });
  });

  it('asks nothing in methods that cannot', async () => {
    const host = rpcHost(mcpContext({ envelope: modernEnvelope }, 'completion/complete'));
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

describe('AuthplaneMcpInterceptor', () => {
  const interceptor = new AuthplaneMcpInterceptor({
    client: { issuer, devMode: false, consent: { retryDelaysMs: [1, 1] } },
  } as never);

  async function run(context: unknown, failures: number) {
    let calls = 0;
    const handle = () =>
      defer(async () => {
        if (++calls <= failures) throw consentRequired();
        return 'done';
      });
    const result = firstValueFrom(interceptor.intercept(rpcHost(context), { handle }));
    return { outcome: await result.catch((error: unknown) => error), calls };
  }

  const answered = (action: string, serviceId = 'google-cal') =>
    mcpContext({
      envelope: modernEnvelope,
      inputResponses: { [consentKey(serviceId)]: { action } },
    });

  it('tries again after an acceptance, as long as it has pauses', async () => {
    expect(await run(answered('accept'), 2)).toEqual({ outcome: 'done', calls: 3 });
    expect(await run(answered('accept'), 3)).toMatchObject({
      outcome: expect.any(ConsentRequiredError),
      calls: 3,
    });
  });

  it('does not wait for the consent of another service', async () => {
    expect(await run(answered('accept', 'github'), 3)).toMatchObject({ calls: 1 });
  });

  it.each(['decline', 'cancel'])('does not run the handler after %s', async (action) => {
    expect(await run(answered(action), 0)).toMatchObject({
      outcome: { code: 'consent_refused', action },
      calls: 0,
    });
  });

  it('leaves other microservices alone', async () => {
    expect(await run({}, 1)).toMatchObject({ calls: 1 });
  });
});
