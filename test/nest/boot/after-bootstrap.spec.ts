import { expect, test } from 'vitest';
import { Global, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { AfterBootstrap, AfterBootstrapModule } from '../../../src/nest/boot/after-bootstrap.js';

const order: string[] = [];

class Slow {
  async onApplicationBootstrap() {
    await new Promise((resolve) => setImmediate(resolve));
    order.push(this.constructor.name);
  }
}
@Injectable()
class OfGlobalModule extends Slow {}
@Injectable()
class OfRootModule extends Slow {}
@Global()
@Module({ imports: [AfterBootstrapModule], providers: [OfGlobalModule] })
class GlobalModule {}
@Module({ imports: [GlobalModule], providers: [OfRootModule] })
class RootModule extends Slow {}

test('9.1g: runs after every other onApplicationBootstrap, and may fail the boot', async () => {
  const module = await Test.createTestingModule({ imports: [RootModule] }).compile();
  module.get(AfterBootstrap, { strict: false }).run(() => {
    order.push('last');
    throw new Error('not like this');
  });
  await expect(module.init()).rejects.toThrow('not like this');
  expect(order).toEqual(['OfGlobalModule', 'OfRootModule', 'RootModule', 'last']);
  await module.close();
});
