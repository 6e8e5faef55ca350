import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CompiledApp } from '../support/nest/compiled-app.js';
import { MESSAGES } from '../support/decision/warm-requests.js';

/** All that is there for other callers, users, rules, names and paths, and for nothing else. */
const FEATURES: Readonly<Record<string, readonly string[] | 'all of it'>> = {
  'nest/callers/allow-rule.ts': 'all of it',
  'nest/callers/app-user.ts': 'all of it',
  'nest/callers/callback.ts': 'all of it',
  'nest/callers/caller-place.ts': 'all of it',
  'nest/callers/other-credentials.ts': 'all of it',
  'nest/callers/request-caller.ts': ['callerOf', 'callerByEither'],
  'core/token/other-caller.ts': 'all of it',
  'core/names/lookups.ts': 'all of it',
  'core/names/path-template.ts': 'all of it',
  'nest/resources/by-name.ts': 'all of it',
  'nest/resources/by-path.ts': 'all of it',
  'nest/resources/many-resources.ts': 'all of it',
  'nest/mcp/answers/list-rulings.ts': 'all of it',
  'nest/decision.ts': [
    ...['after', 'goOnAfter', 'identifyAndAdmit', 'askAndAdmit', 'loadUser', 'askRules'],
    ...['decideForMember', 'ofMember', 'publishUserOf', 'requireOpen'],
  ],
  'nest/mcp/endpoint-rules.ts': ['#admitsAnybody', '#isOfAnother'],
  'nest/mcp/message-inspection.ts': ['#judgeAnybody', '#requireLater'],
  'nest/mcp/operation-judge.ts': [
    ...['#seen', '#seenLater', '#seenOnceKnown', '#togetherLater', '#withRulings'],
  ],
  'core/mcp/json-rpc.ts': ['isOpen'],
};

const processes = new CompiledApp({
  files: ['decision/allocations-main.ts', 'decision/warm-requests.ts'],
  change: (source) => source.replaceAll('../../../src/', '../node_modules/authplane-nestjs/dist/'),
});

describe('12: an application that uses nothing of it', () => {
  let allocating: Readonly<Record<string, readonly string[]>>;
  beforeAll(async () => {
    processes.compile();
    allocating = (await processes.ask()) as typeof allocating;
  });
  afterAll(() => processes.remove());

  const ofFeatures = (kind: string) =>
    (allocating[kind] ?? []).filter((where) => {
      const [file = '', name = ''] = where.split(' ');
      const functions = FEATURES[file];
      return functions === 'all of it' || functions?.includes(name) === true;
    });

  test.each(Object.keys(MESSAGES))('%s: nothing of it makes an object', (kind) => {
    expect(allocating[kind]).toContain('nest/decision.ts decide'); // it is seen at all
    expect(ofFeatures(kind)).toEqual([]);
  });

  test('where all of it is used the same look finds it', () => {
    expect(ofFeatures('with all of it')).toEqual(
      expect.arrayContaining([
        'nest/callers/app-user.ts loadOnce',
        'nest/callers/other-credentials.ts callerOf',
        'nest/callers/request-caller.ts callerByEither',
        'nest/decision.ts decideForMember',
        'nest/resources/many-resources.ts of',
      ]),
    );
  });

  test('the functions are there', () => {
    for (const [file, functions] of Object.entries(FEATURES)) {
      const source = readFileSync(`src/${file}`, 'utf8');
      const names = functions === 'all of it' ? [] : functions;
      const missing = names.filter(
        (name) => !source.includes(`${name}(`) && !source.includes(`${name}:`),
      );
      expect([file, missing]).toEqual([file, []]);
    }
  });
});
