import { describe, expect, it, test } from 'vitest';
import { TokenMissingError } from '../../../src/core/errors/token-errors.js';
import { NO_SCOPES } from '../../../src/core/lib/scopes.js';
import { Refused } from '../../../src/nest/callers/request-caller.js';
import { identify, letInOrRefuse } from '../../../src/nest/decision.js';
import { nodeRequest } from '../../../src/nest/http/exchange.js';
import { dropHeader, replaceHeader, requestState } from '../../../src/nest/http/request.js';
import { startWarmRequests } from '../../support/decision/warm-requests.js';

describe('13.15: a request without credentials', () => {
  test('is refused without a throw, the same for all guards on its way', async () => {
    const { make, application, close } = await startWarmRequests();
    const exchange = make();
    dropHeader(nodeRequest(exchange), 'authorization');
    const policy = { isPublic: false, isMcpEndpoint: false, needs: NO_SCOPES };
    const ask = () =>
      letInOrRefuse(exchange, { ...policy, protectedBy: application.main }, application);
    const refused = ask();
    expect(refused).toBeInstanceOf(Refused);
    const { error } = refused as Refused;
    expect(error).toBeInstanceOf(TokenMissingError);
    expect(error.stack).not.toContain('\n'); // nor is one written
    expect(ask).toThrow(error);
    expect(requestState(exchange.request).current).toBeUndefined();
    await close();
  });

  it('is told by its lines, whatever middleware has made of the headers', async () => {
    const { make, application, close } = await startWarmRequests();
    const ask = (exchange: ReturnType<typeof make>) =>
      identify(exchange, application.main, NO_SCOPES);
    const withoutHeader = make();
    delete nodeRequest(withoutHeader).headers.authorization;
    expect(ask(withoutHeader)).not.toBeInstanceOf(Refused);
    const withoutLine = make();
    nodeRequest(withoutLine).rawHeaders = ['host', '127.0.0.1:3000'];
    expect(() => ask(withoutLine)).toThrow(TokenMissingError);
    const empty = make();
    replaceHeader(nodeRequest(empty), 'authorization', '');
    expect(() => ask(empty)).toThrow(TokenMissingError);
    await close();
  });
});
