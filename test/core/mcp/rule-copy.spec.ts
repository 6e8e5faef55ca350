import { describe, expect, it, test } from 'vitest';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { InvalidRequestError } from '../../../src/core/errors/request-errors.js';
import { copyForRule } from '../../../src/core/mcp/rule-copy.js';

test('12.3: a rule gets its own arguments, names of prototypes included', () => {
  const sent: unknown = JSON.parse(
    '{"name":"x","arguments":{"tags":["b","a"],"__proto__":{"y":1}}}',
  );
  const copy = copyForRule(sent) as { arguments: { tags: string[] } };
  expect(copy).toEqual(sent);
  copy.arguments.tags.sort();
  expect(sent).toMatchObject({ arguments: { tags: ['b', 'a'] } });
  expect(Object.getPrototypeOf(copy.arguments)).toBe(Object.prototype);
  expect(Object.hasOwn(copy.arguments, '__proto__')).toBe(true);
  expect([undefined, null, 'text', 1, 1n].map(copyForRule)).toEqual([
    undefined,
    null,
    'text',
    1,
    1n,
  ]);
});

test('12.3: what is nested without end is no fault of the server', () => {
  for (const [open, close] of [['[', ']'] as const, ['{"a":', '}'] as const]) {
    const sent: unknown = JSON.parse(`${open.repeat(200_000)}1${close.repeat(200_000)}`);
    expect(() => copyForRule(sent)).toThrow(InvalidRequestError);
  }
  const deep: unknown = JSON.parse(`${'['.repeat(400)}1${']'.repeat(400)}`);
  expect(copyForRule(deep)).toEqual(deep);
});

/** Everything that a rule can get hold of, changed in every way that there is. */
function vandalise(value: unknown, seen = new Set<unknown>()): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  for (const key of Reflect.ownKeys(value)) vandalise(Reflect.get(value, key), seen);
  if (value instanceof Map || value instanceof Set) {
    for (const entry of [...value].flat()) vandalise(entry, seen);
    value.clear();
  }
  if (value instanceof Date) value.setTime(0);
  if (value instanceof URL) value.href = 'https://evil.example/';
  if (value instanceof URLSearchParams) value.append('evil', '1');
  if (value instanceof Uint8Array) value.fill(0);
  else if (Array.isArray(value)) value.reverse().push('evil');
  else for (const key of Reflect.ownKeys(value)) Reflect.set(value, key, 'evil');
  Reflect.set(value, 'evil', true);
}

class Amount {
  cents = 1;
  readonly #currency = 'EUR';
  readonly isLarge = (): boolean => this.raise() > 5;

  constructor(readonly parts: number[] = [1]) {}

  raise(): number {
    return ++this.cents;
  }

  get currency(): string {
    return this.#currency;
  }
}

class Tags extends Array<string> {
  owner = 'ann';
}

class Order {
  constructor(
    readonly lines: { parts: number[] }[],
    readonly next?: Order,
  ) {}
}

const symbol = Symbol('of a library');

describe('what schemas give', () => {
  it.each<[string, () => object]>([
    ['plain', () => ({ a: { b: [1, { c: 'x' }] }, [symbol]: { d: 1 } })],
    ['without a prototype', () => Object.assign(Object.create(null), { a: [1] }) as object],
    ['a date', () => ({ at: new Date(7) })],
    ['maps and sets', () => ({ map: new Map([[{ k: 1 }, [1]]]), set: new Set([{ e: 1 }]) })],
    ['URLs', () => ({ url: new URL('https://a.example/?b=1'), query: new URLSearchParams('a=1') })],
    ['bytes', () => ({ bytes: new Uint8Array([1, 2]), text: Buffer.from('ab') })],
    ['a shared buffer', () => ({ bytes: new Uint8Array(new SharedArrayBuffer(2)).fill(3) })],
    ['an expression', () => ({ like: /a/gi })],
    ['instances', () => ({ order: new Order([{ parts: [1] }], new Order([])) })],
    ['a list of its own class', () => Tags.from(['b', 'a'])],
    ['an inherited object', () => Object.create({ tags: ['b'] }) as object],
    ['an error', () => ({ failed: new Error('x', { cause: { a: 1 } }) })],
  ])('a rule cannot change %s', (_name, make) => {
    const sent = make();
    const copy = copyForRule(sent);
    vandalise(copy);
    vandalise(Object.getPrototypeOf(copy) === Object.getPrototypeOf(sent) ? 0 : protoOf(copy));
    expect(sent).toStrictEqual(make());
    expect(protoOf(sent)).toStrictEqual(protoOf(make()));
  });

  it('look the same to the rule', () => {
    const sent = {
      at: new Date(7),
      url: new URL('https://a.example/'),
      map: new Map([['k', new Set([1])]]),
      bytes: Buffer.from('ab'),
      like: /a/gi,
      tags: Tags.from(['b', 'a']),
      list: [new Date(8)],
    };
    expect(copyForRule(sent)).toStrictEqual(sent);
  });

  it('keep their classes: methods work on the copy alone', () => {
    const sent = new Amount();
    const copy = copyForRule(sent);
    expect(copy).toBeInstanceOf(Amount);
    expect(copy.raise()).toBe(2);
    copy.parts.push(2);
    expect(copy).toMatchObject({ cents: 2, parts: [1, 2] });
    expect(Object.keys(copy)).toEqual(Object.keys(sent));
    expect(sent).toMatchObject({ cents: 1, parts: [1] });
  });

  it('refuse what would reach the original, or is not there: nothing is guessed', () => {
    const sent = new Amount();
    const copy = copyForRule({ amount: sent, list: [sent.isLarge] });
    expect(() => copy.amount.isLarge()).toThrow(ConfigurationError);
    expect(() => copy.list[0]?.()).toThrow(/have the schema give values/);
    expect(() => copy.amount.currency).toThrow(TypeError);
    expect(sent.cents).toBe(1);
  });

  it('may have their class among their members, as decimal.js has', () => {
    function Decimal(this: { digits: number[]; constructor: unknown }) {
      this.digits = [1, 2];
      this.constructor = Decimal;
    }
    Decimal.prototype = {
      twin(this: { constructor: new () => object }) {
        return new this.constructor();
      },
    } as object;
    const sent = Reflect.construct(Decimal, []) as { digits: number[]; twin: () => object };
    const copy = copyForRule(sent);
    expect(copy.twin()).toEqual(sent);
    copy.digits.pop();
    expect(sent.digits).toEqual([1, 2]);
  });

  it('may be in several places, and in themselves', () => {
    const shared = { n: 1 };
    const sent: Record<string, unknown> = { first: shared, second: [shared] };
    sent['self'] = sent;
    const copy = copyForRule(sent) as { first: unknown; second: unknown[]; self: unknown };
    expect(copy.self).toBe(copy);
    expect(copy.second[0]).toBe(copy.first);
    expect(copy.first).not.toBe(shared);
  });

  it('are read no further than the rule does: instances may lead anywhere', () => {
    let reads = 0;
    class Document {
      declare readonly connection: unknown;
      constructor() {
        Object.defineProperty(this, 'connection', { enumerable: true, get: () => ++reads });
      }
    }
    const copy = copyForRule({ document: new Document() });
    expect(reads).toBe(0);
    expect(copy.document.connection).toBe(1);
  });

  it('cannot be read at all: the request is refused', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const broken = {
      get a(): never {
        throw new Error('of the schema');
      },
    };
    for (const sent of [proxy, broken, { inner: proxy }]) {
      expect(() => copyForRule(sent)).toThrow(InvalidRequestError);
    }
  });
});

function protoOf(value: object): unknown {
  return Object.getPrototypeOf(value);
}
