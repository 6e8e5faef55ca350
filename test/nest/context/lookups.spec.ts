import { expect, test } from 'vitest';
import { Injectable, Module } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { Lookups, Unasked } from '../../../src/nest/context/lookups.js';

@Injectable()
class Wanted {}

@Injectable()
class Given {
  constructor(readonly wanted: Wanted) {}
}

@Module({ providers: [Unasked, Wanted, Given] })
class Application {}

test('13.1: a provider that is taken by its name is found, one that is injected or read with all others is not', async () => {
  const app = await NestFactory.createApplicationContext(Application, { logger: false });
  const modules = app.get(ModulesContainer);
  const found: unknown[] = [];
  const lookups = new Lookups(modules, [Wanted, Given], (token) => found.push(token));
  const all = [...modules.values()].flatMap(({ providers }) => [...providers.values()]);
  for (let times = 0; times < 2; times++) for (const { instance } of all) void instance;
  await app.init();
  await Promise.resolve();
  expect([lookups.isFound(Wanted), found]).toEqual([false, []]);
  expect(app.get(Wanted)).toBeInstanceOf(Wanted);
  expect([Wanted, Given].map((one) => lookups.isFound(one))).toEqual([true, false]);
  await Promise.resolve();
  expect(found).toEqual([Wanted]);
  expect(app.get(Wanted)).toBe(app.get(Given).wanted);
  await Promise.resolve();
  expect(found).toEqual([Wanted, Given]);
  await app.close();
});
