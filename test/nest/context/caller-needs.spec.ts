import { describe, expect, test } from 'vitest';
import { forwardRef, Inject, Injectable, Module, type Type } from '@nestjs/common';
import { LazyModuleLoader, ModuleRef, ModulesContainer, NestFactory } from '@nestjs/core';
import { AuthContext, AuthplaneGuard, AuthplaneOperations } from 'authplane-nestjs';
import { asksForCallers } from '../../../src/nest/context/caller-needs.js';

@Injectable()
class ByConstructor {
  constructor(readonly caller: AuthContext) {}
}

@Injectable()
class ByName {
  constructor(@Inject(forwardRef(() => AuthContext)) readonly caller: unknown) {}
}

@Injectable()
class ByProperty {
  @Inject(AuthContext)
  readonly caller: AuthContext | undefined;
}

@Injectable()
class OwnContext extends AuthContext {}

@Injectable()
class OwnGuard extends AuthplaneGuard {}

@Injectable()
class Judged {}

@Injectable()
class OfJudged {
  constructor(readonly judged: Judged) {}
}

const TELLING = [AuthContext, AuthplaneOperations];

const context = (providers: object[]) => {
  class Application {}
  Module({ providers: providers as never[] })(Application);
  return NestFactory.createApplicationContext(Application as Type, { logger: false });
};

async function asksIn(providers: object[]): Promise<boolean> {
  const app = await context(providers);
  const asks = asksForCallers(app.get(ModulesContainer), TELLING, new Set([Judged]));
  await app.close();
  return asks;
}

describe('13.1: who may ask for the caller', () => {
  test.each([
    ['a constructor', [AuthContext, ByConstructor]],
    ['a name behind forwardRef', [AuthContext, ByName]],
    ['a property', [AuthContext, ByProperty]],
    ['a factory', [AuthContext, { provide: 'x', useFactory: () => 1, inject: [AuthContext] }]],
    [
      'an optional dependency',
      [{ provide: 'x', useFactory: () => 1, inject: [{ token: AuthContext, optional: true }] }],
    ],
    ['another name for it', [AuthContext, { provide: 'x', useExisting: AuthContext }]],
    ['a class that extends it', [OwnContext]],
    ['what looks providers up', [{ provide: 'x', useFactory: () => 1, inject: [ModuleRef] }]],
    ['what loads modules', [{ provide: 'x', useFactory: () => 1, inject: [LazyModuleLoader] }]],
    [
      'operations that are judged for somebody',
      [
        {
          provide: 'x',
          useFactory: () => 1,
          inject: [{ token: AuthplaneOperations, optional: true }],
        },
      ],
    ],
    ['whoever is given a controller', [Judged, OfJudged]],
  ])('13.1: %s', async (_, providers) => {
    expect(await asksIn(providers)).toBe(true);
  });

  test('13.1: nobody else, however much this package provides', async () => {
    expect(await asksIn([AuthContext, Judged])).toBe(false);
  });

  test('13.1: a guard that extends ours with no more than a method', () => {
    const wrapper = { metatype: OwnGuard };
    const none = new Map();
    const module = {
      metatype: class Some {},
      providers: none,
      controllers: none,
      middlewares: none,
    };
    const modules = {
      values: () => [{ ...module, injectables: new Map([['x', wrapper]]) }].values(),
    };
    expect(asksForCallers(modules as never, TELLING, new Set())).toBe(false);
  });
});
