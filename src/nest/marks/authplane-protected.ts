import { SetMetadata } from '@nestjs/common';
import { GUARDS, isAuthplaneGuard } from './handler-marks.js';

const PROTECTED = Symbol.for('authplane-nestjs:protected');

/**
 * On a guard of the application that asks `AuthplaneGuard` itself, for example after it has looked for
 * an API key: what carries this guard then counts as guarded at the start. A mark only; nothing checks
 * what the guard does. Methods with scopes refuse whomever it lets in without asking `AuthplaneGuard`.
 */
export function AuthplaneProtected(): ClassDecorator {
  return SetMetadata(PROTECTED, true);
}

/** `AuthplaneGuard`, a subclass, a guard with the mark, or an instance of one of them. */
export function isProtectingGuard(guard: unknown): boolean {
  if (isAuthplaneGuard(guard)) return true;
  const type = typeof guard === 'function' ? guard : (guard as object | null)?.constructor;
  return typeof type === 'function' && Reflect.getMetadata(PROTECTED, type) === true;
}

/** Whether `@UseGuards` on this class or handler names such a guard. */
export function hasProtectingGuard(target: object): boolean {
  const guards: unknown = Reflect.getMetadata(GUARDS, target);
  return Array.isArray(guards) && guards.some(isProtectingGuard);
}
