import { describe, expect, it } from 'vitest';
import { CacheInterceptor } from '@nestjs/cache-manager';
import { Controller, Get, UseInterceptors } from '@nestjs/common';
import { cacheWarnings, type GuardedRoute } from '../../../src/nest/boot/cache-checks.js';

class Renamed extends CacheInterceptor {}
class ByCaller extends CacheInterceptor {
  override trackBy(): string | undefined {
    return 'of the caller';
  }
}
class Other {}

@Controller()
class Notes {
  @Get()
  plain() {}

  @Get('cached')
  @UseInterceptors(Renamed)
  cached() {}

  @Get('by-caller')
  @UseInterceptors(ByCaller)
  byCaller() {}
}

@Controller()
@UseInterceptors(CacheInterceptor)
class Cached {
  @Get()
  all() {}
}

const route = (controller: GuardedRoute['controller'], name: string): GuardedRoute => ({
  controller,
  name,
  handler: Reflect.get(controller.prototype, name) as GuardedRoute['handler'],
});
const routes = ['plain', 'cached', 'byCaller'].map((name) => route(Notes, name));
const named = (warnings: readonly string[]) => warnings.map((text) => text.split(' ')[0]);

describe('cacheWarnings', () => {
  it('names what is cached by the URL alone, on the handler or its class', () => {
    expect(named(cacheWarnings([...routes, route(Cached, 'all')], []))).toEqual([
      'Notes.cached',
      'Cached.all',
    ]);
  });

  it.each([
    ['a class', CacheInterceptor],
    ['a subclass without a key of its own', Renamed],
    ['an instance', Object.create(CacheInterceptor.prototype) as unknown],
  ])('for the whole application, as %s: every guarded route', (_, one) => {
    expect(cacheWarnings(routes, [Other, one])).toHaveLength(routes.length);
  });

  it.each([ByCaller, Other, null, 'text', () => undefined])('%p caches for no one else', (one) => {
    expect(named(cacheWarnings(routes, [one]))).toEqual(['Notes.cached']);
  });
});
