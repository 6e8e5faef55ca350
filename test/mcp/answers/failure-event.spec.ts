import { ConsentRequiredError, TokenMissingError } from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import { tellFailure } from '../../../src/mcp/answers/failure-event.js';
import { legacyCall } from '../../../src/mcp/answers/call.js';
import { requests } from '../../../src/nest/http/request.js';
import { offlineModule } from '../../support/nest/offline-module.js';

const issuer = 'https://auth.example.com';
const call = legacyCall({
  ...{ method: 'tools/call', headers: {}, authInfo: undefined, sessionCapabilities: {} },
});
const consentRequired = (consentUrl?: string) =>
  new ConsentRequiredError('x', {
    ...{ statusCode: 400, error: 'consent_required' },
    ...(consentUrl === undefined ? {} : { consentUrl }),
  });

/** The event of a failure inside of a request. */
function eventOf(error: TokenMissingError | ConsentRequiredError) {
  const { resources: application, heard } = offlineModule();
  requests.run({ application }, () => tellFailure(error, call, { issuer }));
  expect(heard).toHaveLength(1);
  return heard[0];
}

describe('tellFailure', () => {
  it('tells the application of the request what the client is not told', () => {
    const error = new TokenMissingError();
    expect(eventOf(error)).toEqual({
      ...{ type: 'operation_failed', method: 'tools/call', error, pageProblem: undefined },
    });
  });

  it.each<[string | undefined, RegExp | undefined]>([
    [undefined, undefined],
    [`${issuer}/connect/google`, undefined],
    ['https://evil.example/connect', /another origin/],
    ['javascript:alert(1)', /not https/],
  ])('why the page %s is not shown: %s', (consentUrl, problem) => {
    const event = eventOf(consentRequired(consentUrl));
    expect(event).toHaveProperty(
      'pageProblem',
      problem === undefined ? undefined : expect.stringMatching(problem),
    );
  });
});
