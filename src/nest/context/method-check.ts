import { AuthplaneError } from '../../core/errors/authplane-error.js';
import {
  InsufficientScopeError,
  InvalidClaimsError,
  NoCallerError,
  TokenMissingError,
} from '../../core/errors/token-errors.js';
import { challengeScopes } from '../../core/lib/scopes.js';
import { askedAgain, requireAllowed } from '../callers/allow-rule.js';
import { meetsNeeds } from '../../core/token/caller.js';
import {
  type ClassLike,
  hasAuthplaneGuard,
  type HandlerPolicy,
  keysOf,
  type Method,
  policyOf,
} from '../marks/handler-marks.js';
import { isMcpOperation } from '../mcp/hosts/mcp-hosts.js';
import { keepOperationRefusals, OperationRefusal } from '../refusals/operation-refusal.js';
import { isAnyEnforced, missCaller } from '../http/running.js';
import { type CallerHolder, requests } from '../http/request.js';
import { isRoute } from '../http/routes.js';

/** A method that asks for its caller, and what it was written as. */
export interface CheckedMethod {
  readonly prototype: object;
  readonly key: string | symbol;
  readonly method: Method;
}

const checkedMethods = new WeakMap<object, CheckedMethod>();
const all = new Set<CheckedMethod>();

/** All of the process: which application they belong to, their class does not tell. */
export function allCheckedMethods(): Set<CheckedMethod> {
  return all;
}

/** `undefined` for a function that asks for nobody, or is somebody else's around one that does. */
export function checkedMethodOf(method: object): CheckedMethod | undefined {
  return checkedMethods.get(method);
}

/**
 * The method, asking for its caller before its body, whatever called it. The guard decides first; this
 * holds where what runs is not what the guard has judged: a library that runs another method than it
 * looked up, a handler whose marks or guards Nest could not find.
 *
 * Where no application with this package runs, a method is just called: a unit test of a class.
 */
export function checkedMethod(prototype: object, key: string | symbol, method: Method): Method {
  if (checkedMethods.has(method)) return method;
  const written: CheckedMethod = { prototype, key, method };
  let policy: HandlerPolicy | undefined;
  const refuse = (error: unknown): never => {
    throw error instanceof AuthplaneError && isOperation(prototype, key)
      ? new OperationRefusal(error)
      : error;
  };
  const requireCaller = (): Promise<void> | undefined => {
    policy ??= declaredPolicy(written);
    if (policy.isPublic) return undefined;
    try {
      const allowed = requireCallerOf(policy, `${nameOf(prototype)}.${String(key)}`);
      return allowed?.catch(refuse);
    } catch (error) {
      return refuse(error);
    }
  };
  const checked: Method = isAsync(method)
    ? async function (this: unknown, ...args) {
        const required = requireCaller();
        if (required !== undefined) await required;
        return Reflect.apply(method, this, args);
      }
    : function (this: unknown, ...args) {
        const required = requireCaller();
        if (required === undefined) return Reflect.apply(method, this, args);
        return required.then((): unknown => Reflect.apply(method, this, args));
      };
  copyAppearance(method, checked);
  keepOperationRefusals(prototype, key, { value: checked });
  checkedMethods.set(checked, written);
  all.add(written);
  return checked;
}

/** The routes and operations in a class that is marked as a whole. */
export function checkMethodsOf(type: object): void {
  const isHandler = (method: object) => isRoute(method) || isMcpOperation(method);
  replaceMethods(type, isHandler, (method, prototype, key) =>
    checkedMethod(prototype, key, method),
  );
}

/** Methods whose own guard Nest may not find: of instances that it makes for each request. */
export function checkGuardedMethodsOf(type: object): void {
  replaceMethods(type, hasAuthplaneGuard, (method, prototype, key) =>
    checkedMethod(prototype, key, method),
  );
}

type Replace = (method: Method, prototype: object, key: string | symbol) => Method;

/** Puts others in the place of the methods that are meant; they look like them to decorators and Nest. */
export function replaceMethods(
  type: object,
  isMeant: (method: object) => boolean,
  replace: Replace,
): void {
  const { prototype } = type as ClassLike;
  for (const key of Reflect.ownKeys(prototype)) {
    const descriptor = Reflect.getOwnPropertyDescriptor(prototype, key);
    const method: unknown = descriptor?.value;
    if (key === 'constructor' || typeof method !== 'function' || !isMeant(method)) continue;
    const value = replace(method as Method, prototype, key);
    if (value !== method) copyAppearance(method as Method, value);
    Reflect.defineProperty(prototype, key, { ...descriptor, value });
  }
}

/** The same for the method that a decorator stands on. */
export function replaceMethod(
  descriptor: PropertyDescriptor,
  replace: (method: Method) => Method,
): void {
  const method = descriptor.value as Method;
  descriptor.value = replace(method);
  copyAppearance(method, descriptor.value as Method);
}

/** Of the class that declares it. That of a subclass, which may ask for more, is for the guard. */
export function declaredPolicy({ prototype, key, method }: CheckedMethod): HandlerPolicy {
  const { constructor } = prototype;
  const keys = [...new Set([key, ...keysOf(constructor, method)])];
  return policyOf({ handler: method, classes: [constructor], keys });
}

/** Whatever other decorators have made of the function since. */
function isOperation(prototype: object, key: string | symbol): boolean {
  const method: unknown = Reflect.get(prototype, key);
  if (typeof method !== 'function') return false;
  return isMcpOperation(method);
}

/** A promise where rules are to be asked once more. */
function requireCallerOf(policy: HandlerPolicy, where: string): Promise<void> | undefined {
  const holder = requests.getStore();
  if (!isEnforced(holder)) return undefined;
  if (holder?.isAnonymous === true) return requireNothing(policy, holder, where);
  if (holder?.current === undefined) {
    if (holder === undefined) missCaller();
    throw new NoCallerError(
      `${where} is for callers that AuthplaneGuard has let in, and runs for none: ` +
        `it was called outside a guarded handler, or its route has lost its guard`,
    );
  }
  requireResource(holder, policy, where);
  if (!meetsNeeds(holder.current, policy.needs)) {
    const { scopes: grantedScopes } = holder.current.claims;
    throw new InsufficientScopeError(challengeScopes(policy.needs), { grantedScopes });
  }
  const { rules } = policy.needs;
  return rules && requireAllowed(askedAgain(rules, holder), holder.current, holder);
}

/** @throws TokenMissingError for what nobody may run without a caller. */
function requireNothing(policy: HandlerPolicy, holder: CallerHolder, where: string): undefined {
  const { all, anyOf, rules } = policy.needs;
  if (all.length + anyOf.length > 0 || rules !== undefined) {
    throw new TokenMissingError(`${where} needs a caller, and the request has shown no credential`);
  }
  requireResource(holder, policy, where);
}

/** Tests may have replaced the guard; then nothing is enforced in that application. */
function isEnforced(holder: CallerHolder | undefined): boolean {
  if (holder?.application !== undefined) return holder.application.isEnforced;
  return holder?.current !== undefined || isAnyEnforced();
}

/** The token was verified for one resource, and is none for another of the same server. */
function requireResource(
  holder: CallerHolder,
  { resourceName }: HandlerPolicy,
  where: string,
): void {
  if (resourceName === undefined || holder.application === undefined) return;
  const wanted = holder.application.resourceNamed(resourceName);
  if (holder.resource?.family === wanted) return;
  holder.resource = wanted; // the challenge has to name its metadata
  throw new InvalidClaimsError(
    `${where} belongs to ${wanted.resource}, and the token was verified for another resource`,
    { claim: 'aud', rule: 'mismatch' },
  );
}

function isAsync(method: Method): boolean {
  return Object.prototype.toString.call(method) === '[object AsyncFunction]';
}

/** Other decorators and Nest read and write these; the caller of the method notices no difference. */
function copyAppearance(from: Method, to: Method): void {
  const own = Object.getOwnPropertyDescriptors(from) as Record<string, PropertyDescriptor>;
  for (const [name, descriptor] of Object.entries(own)) {
    if (name !== 'prototype') Object.defineProperty(to, name, descriptor);
  }
  for (const key of Reflect.getOwnMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, from), to);
  }
}

function nameOf(prototype: object): string {
  return prototype.constructor.name;
}
