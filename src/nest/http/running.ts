import type { GuardedApplication } from './request.js';

/** Applications with this package in this process, from their start to their end. */
const running = new Set<GuardedApplication>();

/** @returns to be called at its end. */
export function enter(application: GuardedApplication): () => void {
  running.add(application);
  return () => running.delete(application);
}

/** Whether any of them asks methods for their caller. */
export function isAnyEnforced(): boolean {
  for (const { isEnforced } of running) if (isEnforced) return true;
  return false;
}

/** What runs outside of all requests can only belong to the one that there is. */
export function onlyApplication(): GuardedApplication | undefined {
  const [first, ...others] = running;
  return others.length === 0 ? first : undefined;
}

/**
 * Somebody has asked who is calling where no request is known. If it is because an application had found
 * nobody who would, it carries its callers from its next request on; this one is refused.
 */
export function missCaller(): void {
  for (const application of running) application.carriesCallers = true;
}
