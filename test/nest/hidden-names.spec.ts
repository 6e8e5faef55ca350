import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HiddenNames } from '../../src/nest/hidden-names.js';

describe('HiddenNames', () => {
  const names = new HiddenNames();

  it('any name comes back in JSON text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const json = JSON.stringify({ text: `Tool ${names.standInFor(name)} not found` });
        expect(JSON.parse(names.restore(json))).toEqual({ text: `Tool ${name} not found` });
      }),
      { numRuns: 5000 },
    );
    const lone = 'x\ud800y';
    expect(names.restore(JSON.stringify(names.standInFor(lone)))).toBe(JSON.stringify(lone));
  });

  it('a URI comes back as the server shows it: as sent or normalised', () => {
    const uri = 'HTTPS://Example.com/a/../b';
    const standIn = names.standInFor(uri);
    expect(names.restore(standIn)).toBe(uri);
    expect(names.restore(new URL(standIn).href)).toBe('https://example.com/b');
    expect(names.restore(new URL(names.standInFor('no uri')).href)).toBe('no uri');
  });

  it('others can neither read nor write stand-ins', () => {
    const foreign = new HiddenNames().standInFor('write');
    expect(names.restore(foreign)).toBe(foreign);
    expect(names.standInFor('write')).not.toContain('write');
  });
});
