import { describe, expect, it } from 'vitest';
import { Controller } from '@nestjs/common';
import { ConsentRequiredError } from 'authplane-nestjs';
import {
  AuthplaneMcpExceptionFilter,
  AuthplaneMcpInterceptor,
  consentKey,
  WithConsent,
} from 'authplane-nestjs/mcp';
import { defer, EMPTY, firstValueFrom } from 'rxjs';
import { JsonRpcErrorFilter } from '../../../src/nest/refusals/json-rpc-error.js';
import { mcpContext, MODERN_ENVELOPE, rpcHost } from '../../support/hosts/mcp-nest-context.js';

const issuer = 'https://auth.example.com';

const consentRequired = () =>
  new ConsentRequiredError('inner detail', {
    statusCode: 400,
    error: 'consent_required',
    consentUrl: `${issuer}/connect/google`,
    serviceId: 'google-cal',
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
      envelope: MODERN_ENVELOPE,
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

  it('a handler that says nothing says undefined', async () => {
    const handle = () => EMPTY;
    const said = interceptor.intercept(rpcHost(mcpContext({})), { handle });
    expect(await firstValueFrom(said)).toBeUndefined();
  });
});

describe('@WithConsent()', () => {
  @Controller()
  @WithConsent()
  class Tools {
    @WithConsent()
    one() {
      return 1;
    }
  }

  it.each([
    ['a class', Tools],
    ['a method', Tools.prototype.one],
  ])('puts filters and the interceptor on %s', (_, target) => {
    expect(Reflect.getMetadata('__exceptionFilters__', target)).toEqual([
      AuthplaneMcpExceptionFilter,
      JsonRpcErrorFilter,
    ]);
    expect(Reflect.getMetadata('__interceptors__', target)).toEqual([AuthplaneMcpInterceptor]);
  });
});
