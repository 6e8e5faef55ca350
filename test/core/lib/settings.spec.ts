import { describe, expect, it } from 'vitest';
import { booleanProblem, problemsOf, seconds } from '../../../src/core/lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from '../../../src/core/lib/settings.js';

interface Kettle {
  readonly isOn: boolean;
  readonly boilSeconds: number;
  readonly teas: readonly string[];
  readonly lid: string | undefined;
  readonly label?: string;
}

const SETTINGS: Settings<Kettle> = {
  isOn: { check: booleanProblem, byDefault: true },
  boilSeconds: { check: seconds(1, 600), byDefault: 90 },
  teas: { check: () => undefined, byDefault: ['green'] },
  lid: { check: () => undefined, byDefault: undefined },
  label: { check: () => undefined },
};

describe('settings', () => {
  it('what is left out, or undefined, has its default; what has none is not there', () => {
    const settled = withDefaults(SETTINGS, { isOn: undefined });
    expect(settled).toStrictEqual({
      isOn: true,
      boilSeconds: 90,
      teas: ['green'],
      lid: undefined,
    });
  });

  it('what is given wins over others, and those over the table', () => {
    const main = { isOn: false, boilSeconds: 5, label: 'main' };
    const settled = withDefaults(SETTINGS, { boilSeconds: 7 }, main);
    expect(settled).toMatchObject({ isOn: false, boilSeconds: 7, label: 'main', teas: ['green'] });
  });

  it('lists are frozen copies', () => {
    const teas = ['black'];
    const settled = withDefaults(SETTINGS, { teas });
    teas.push('white');
    expect(settled.teas).toEqual(['black']);
    expect(Object.isFrozen(settled.teas)).toBe(true);
  });

  it('nothing else that was passed is kept', () => {
    expect(withDefaults(SETTINGS, { secret: 'x' } as object)).not.toHaveProperty('secret');
  });

  it('each option has its check', () => {
    expect(problemsOf({ isOn: 'yes', boilSeconds: 0, cup: 1 }, checksOf(SETTINGS), false)).toEqual([
      'isOn: must be true or false',
      'boilSeconds: must be a number of seconds from 1 to 600',
      'cup: unknown option',
    ]);
  });
});
