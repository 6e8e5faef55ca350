/**
 * Runs in front of every spec (`setupFiles`): specs of a worker share their modules, and an application that one
 * leaves running is found by the next.
 */

import { afterAll } from 'vitest';
import { isAnyEnforced, onlyApplication } from '../../../src/nest/http/running.js';

afterAll(() => {
  if (onlyApplication() === undefined && !isAnyEnforced()) return;
  throw new Error('this spec has left an application running: close it, also where a test fails');
});
