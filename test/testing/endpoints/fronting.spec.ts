import { describe, expect, it } from 'vitest';
import { Fronting } from '../../../src/testing/endpoints/fronting.js';
import { Resources } from '../../../src/testing/records/resources.js';

const resources = new Resources(
  ['gateway', 'api', 'other'].map((slug) => ({
    ...{ uri: `https://${slug}.example/`, slug, scopes: [] },
  })),
  undefined,
);
const [gateway, api, other] = ['gateway', 'api', 'other'].map((slug) => resources.named(slug));
const fronting = new Fronting(
  [
    {
      source: 'gateway',
      target: 'https://api.example/',
      scopeMap: { write: ['w', 'r'], list: ['r'], admin: [] },
    },
  ],
  resources,
);

describe('Fronting', () => {
  it('finds the link from source to target, and none the other way', () => {
    expect(fronting.between(gateway!, api!)).toMatchObject({ source: gateway, target: api });
    expect(fronting.between(api!, gateway!)).toBeUndefined();
    expect(fronting.between(gateway!, other!)).toBeUndefined();
  });

  it('tells which scopes stand for which, by name', () => {
    const link = fronting.between(gateway!, api!);
    expect(link?.sourcesOf('r')).toEqual(['list', 'write']);
    expect(link?.sourcesOf('w')).toEqual(['write']);
    expect(link?.sourcesOf('x')).toEqual([]);
    expect(new Set(link?.targetScopes)).toEqual(new Set(['r', 'w']));
    expect(link?.targetScopes).toHaveLength(2);
  });

  it('refuses a link to nowhere', () => {
    const link = { source: 'gateway', target: 'nowhere', scopeMap: {} };
    expect(() => new Fronting([link], resources)).toThrow('resource not found');
  });
});
