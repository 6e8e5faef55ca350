import { expect, test } from 'vitest';
import { Events } from '../../../src/core/events.js';
import {
  enter,
  isAnyEnforced,
  missCaller,
  onlyApplication,
} from '../../../src/nest/http/running.js';

const application = (isEnforced: boolean) => ({
  isEnforced,
  carriesCallers: false,
  events: new Events(),
  resourceNamed: () => ({}) as never,
});

test('methods ask while an application runs in which they are to', () => {
  expect(isAnyEnforced()).toBe(false);
  const leaveFirst = enter(application(false));
  expect(isAnyEnforced()).toBe(false);
  const leaveSecond = enter(application(true));
  expect(isAnyEnforced()).toBe(true);
  leaveSecond();
  expect(isAnyEnforced()).toBe(false);
  leaveFirst();
});

test('what belongs to no request belongs to the only application', () => {
  expect(onlyApplication()).toBeUndefined();
  const first = application(true);
  const leaveFirst = enter(first);
  expect(onlyApplication()).toBe(first);
  const leaveSecond = enter(application(true));
  expect(onlyApplication()).toBeUndefined();
  leaveFirst();
  leaveSecond();
});

test('13.1: whoever asks in vain finds the caller the next time', () => {
  const one = application(true);
  const leave = enter(one);
  missCaller();
  expect(one.carriesCallers).toBe(true);
  leave();
});
