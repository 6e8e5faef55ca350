import { describe, expect, test } from 'vitest';
import { UseGuards } from '@nestjs/common';
import {
  AnyScope,
  AuthplaneGuard,
  Claims,
  ConfigurationError,
  McpEndpoint,
  Public,
  Scopes,
  UseResource,
} from 'authplane-nestjs';
import {
  handlerPolicy,
  hasAuthplaneGuard,
  isAuthplaneGuard,
  keysOf,
  markedKeys,
  policyOf,
} from '../../../src/nest/marks/handler-marks.js';

class Base {
  @Scopes('base')
  @AnyScope('x', 'y')
  @UseResource('billing')
  overridden() {
    return 1;
  }

  @Public()
  open() {
    return 1;
  }

  plain() {
    return 1;
  }
}

class Sub extends Base {
  @Scopes('sub')
  @AnyScope('x', 'y')
  override overridden() {
    return 2;
  }

  override open() {
    return 2;
  }

  @UseGuards(AuthplaneGuard)
  guarded() {
    return 2;
  }
}

describe('policy of a handler', () => {
  test('9.7: overridden methods add up, each requirement once; the nearest resource', () => {
    expect(handlerPolicy(Sub, Sub.prototype.overridden)).toMatchObject({
      needs: { all: ['sub', 'base'], anyOf: [['x', 'y']] },
      resourceName: 'billing',
      isPublic: false,
    });
    expect(handlerPolicy(Base, Base.prototype.overridden).needs.all).toEqual(['base']);
  });

  test('9.7: openness is not inherited by an override', () => {
    expect(handlerPolicy(Base, Base.prototype.open).isPublic).toBe(true);
    expect(handlerPolicy(Sub, Sub.prototype.open).isPublic).toBe(false);
  });

  test('9.25: on one handler scopes win over openness, whichever stands first', () => {
    class Both {
      @Public()
      @Scopes('a')
      first() {
        return 1;
      }

      @AnyScope('a', 'b')
      @Public()
      second() {
        return 1;
      }
    }
    const { first, second } = Both.prototype;
    expect([first, second].map((one) => handlerPolicy(Both, one).isPublic)).toEqual([false, false]);
  });

  test('9.1h: marks of all classes that belong to a handler, for whatever runs under its name', () => {
    @Scopes('registered')
    @McpEndpoint()
    class Registered {}
    const handler = () => undefined;
    expect(policyOf({ handler, classes: [Sub, Registered], keys: ['overridden'] })).toMatchObject({
      needs: { all: ['registered', 'sub', 'base'] },
      isMcpEndpoint: true,
    });
  });

  test('where methods stand, and which are marked', () => {
    expect(keysOf(Sub, Base.prototype.plain)).toEqual(['plain']);
    expect(keysOf(Sub, () => undefined)).toEqual([]);
    expect([...new Set(markedKeys(Sub))]).toEqual(['overridden', 'guarded']);
    expect(hasAuthplaneGuard(Sub.prototype.guarded)).toBe(true);
    expect(isAuthplaneGuard(class extends AuthplaneGuard {})).toBe(true);
    expect([undefined, null, {}, class {}, 'x'].some(isAuthplaneGuard)).toBe(false);
  });
});

describe('what decorators refuse', () => {
  test.each([Scopes('a'), AnyScope('a'), UseResource('a'), Public()])(
    'a property, which nothing calls',
    (decorator) => {
      expect(() => decorator({}, 'field', undefined as never)).toThrow(ConfigurationError);
    },
  );

  test('10.14d: @Claims of what is no member', () => {
    expect(() => Claims('email' as 'sub')).toThrow(/"email".*raw/);
    expect(() => Claims('hasScope' as 'sub')).toThrow(ConfigurationError);
    // @ts-expect-error a misspelt member does not compile
    expect(() => Claims('subject')).toThrow(ConfigurationError);
  });
});
