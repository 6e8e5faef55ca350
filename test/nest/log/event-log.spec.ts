import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { NoCallerError } from 'authplane-nestjs/core';
import type { AuthplaneEvent } from '../../../src/core/events.js';
import { ConsentRequiredError } from '../../../src/core/errors/oauth-errors.js';
import { loggedEvents, runningEvents } from '../../../src/nest/log/event-log.js';
import { requests } from '../../../src/nest/http/request.js';

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  const write =
    (level: string) =>
    (message: unknown, ...rest: unknown[]) =>
      lines.push(`${level} ${String(rest.at(-1))}: ${String(message)}`);
  const logger = {
    debug: write('debug'),
    log: write('log'),
    warn: write('warn'),
    error: write('error'),
  };
  Logger.overrideLogger(logger);
});
afterEach(() => Logger.overrideLogger(false));

const caller = { method: 'access_token', resource: 'r', issuer: 'i', sub: 's', clientId: 'c' };
const operation = { method: 'tools/call', name: 'x\n' };

describe('EventLog', () => {
  it.each<[AuthplaneEvent, ...string[]]>([
    [{ type: 'admitted', caller, operations: [] }],
    [
      { type: 'refused_context', where: 'A.b', context: 'ws' },
      'error AuthplaneGuard: refused A.b: AuthplaneGuard protects HTTP handlers and the MCP handlers behind ' +
        'them, and this one runs in a "ws" context',
    ],
    [
      { type: 'hidden', caller, operations: [operation, operation, operation] },
      'debug AuthplaneMcp: answered as if there were no such thing: tools/call "x\\n", and 2 more',
    ],
    [
      { type: 'foreign_session', caller, reason: 'of another' },
      'warn AuthplaneMcp: refused a request to an MCP session of another',
    ],
    [
      { type: 'rule_failed', operation, reason: 'its rule failed', fault: 'why' },
      'error AuthplaneMcp: tools/call "x\\n": its rule failed',
    ],
    [
      { type: 'server_failed', fault: undefined, isClientGone: true },
      'debug AuthplaneMcp: the client has gone away before the answer was complete',
    ],
    [
      { type: 'protected', resources: ['a', 'b'], issuer: 'i', isReady: false },
      'log AuthplaneModule: protecting a, b with tokens of i; requests get 503 until it can be reached',
    ],
    [{ type: 'open', resources: ['a'] }, 'warn AuthplaneModule: NOT protected: a'],
    [{ type: 'set_up', text: 'so', isDoubtful: true }, 'warn AuthplaneModule: so'],
    [{ type: 'set_up', text: 'so', isDoubtful: false }, 'log AuthplaneModule: so'],
  ])('$type', (event, ...expected) => {
    loggedEvents().emit(event);
    expect(lines).toEqual(expected);
  });

  it('a flood of background failures, and of consent pages, is one warning', () => {
    const events = loggedEvents();
    const error = new NoCallerError('away');
    for (let count = 0; count < 3; count++) {
      events.emit({ type: 'background_failure', error });
      const required = new ConsentRequiredError('no', {
        statusCode: 400,
        error: 'consent_required',
      });
      events.emit({ type: 'operation_failed', method: 'm', error: required, pageProblem: 'http' });
    }
    const warnings = lines.filter((line) => line.startsWith('warn'));
    expect(warnings).toEqual([
      'warn AuthplaneClient: away',
      "warn AuthplaneMcp: the authorization server's consent_url is not shown to users: http",
    ]);
  });
});

it('what runs belongs to its application; what belongs to none is logged all the same', () => {
  const events = loggedEvents();
  const application = {
    carriesCallers: true,
    isEnforced: true,
    events,
    resourceNamed: () => ({}) as never,
  };
  expect(requests.run({ application }, runningEvents)).toBe(events);
  runningEvents().emit({ type: 'set_up', text: 'alone', isDoubtful: true });
  expect(lines).toEqual(['warn AuthplaneModule: alone']);
  expect(runningEvents()).toBe(runningEvents());
});
