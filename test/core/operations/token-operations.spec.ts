import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientAuthentication } from '../../../src/core/calls/client-authentication.js';
import { DPoPSigner } from '../../../src/core/dpop/signer.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import {
  SECRET,
  setUpAnswering,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import { type Reply, replyJson, replyProblem } from '../../support/servers/scripted-server.js';

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUpAnswering();
  operations = setup.operations;
});

afterEach(() => setup.close());

describe('T56: secrets and tokens', () => {
  it('are in no error and no print of the operations', async () => {
    const authentication = clientAuthentication({ clientId: 'me', clientSecret: SECRET });
    operations = setup.with({ authentication, dpop: await DPoPSigner.generate() });
    setup.server.on(
      '/token_endpoint',
      replyJson(tokenBody({ access_token: 'canary-access', token_type: 'DPoP' })),
    );
    const exchange = {
      subjectToken: 'canary-subject',
      actorToken: 'canary-actor',
      resources: ['r'],
    };
    const printed = [await operations.exchange(exchange), operations];
    const echo: Reply = (response, request) => {
      const error_description = `${request.raw} ${String(request.headers['dpop'])} ${SECRET}`;
      return replyProblem('invalid_request', 400, { error_description })(response, request);
    };
    for (const path of ['/token_endpoint', '/introspection_endpoint', '/revocation_endpoint']) {
      setup.server.on(path, echo);
    }
    const errors = [
      await thrownBy(operations.exchange({ ...exchange, scope: 'other' })),
      await thrownBy(operations.introspect('canary-token')),
      await thrownBy(operations.revoke('canary-token')),
    ];
    for (const value of [...printed, ...errors]) {
      const text = inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value);
      expect(text + String(value)).not.toContain('canary');
      expect(text).not.toMatch(/eyJ/);
    }
  });
});
