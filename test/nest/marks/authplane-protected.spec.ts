import { type CanActivate, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneProtected } from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import {
  hasProtectingGuard,
  isProtectingGuard,
} from '../../../src/nest/marks/authplane-protected.js';

class PlainGuard implements CanActivate {
  canActivate() {
    return true;
  }
}

@AuthplaneProtected()
class CombinedGuard extends PlainGuard {}

class SubclassOfCombined extends CombinedGuard {}

class SubclassOfOurs extends AuthplaneGuard {}

describe('a guard that protects', () => {
  it.each([
    AuthplaneGuard,
    SubclassOfOurs,
    CombinedGuard,
    SubclassOfCombined,
    new CombinedGuard(),
    Object.create(SubclassOfOurs.prototype),
  ])('%o', (guard) => {
    expect(isProtectingGuard(guard)).toBe(true);
  });

  it.each([
    PlainGuard,
    new PlainGuard(),
    () => true,
    {},
    Object.create(null),
    null,
    undefined,
    'AuthplaneGuard',
    5,
  ])('is not %o', (guard) => {
    expect(isProtectingGuard(guard)).toBe(false);
  });
});

describe('what carries one', () => {
  @UseGuards(PlainGuard, new CombinedGuard())
  class Protected {
    @UseGuards(PlainGuard)
    plain() {
      return 1;
    }

    @UseGuards(AuthplaneGuard)
    ours() {
      return 1;
    }

    bare() {
      return 1;
    }
  }

  it('a class or handler, each for itself', () => {
    const { plain, ours, bare } = Protected.prototype;
    const carriers = [Protected, ours, plain, bare, class {}];
    expect(carriers.map(hasProtectingGuard)).toEqual([true, true, false, false, false]);
  });

  it('not what has metadata of that name which is no list', () => {
    class Odd {}
    Reflect.defineMetadata('__guards__', AuthplaneGuard, Odd);
    expect(hasProtectingGuard(Odd)).toBe(false);
  });
});
