import { describe, expect, it } from 'vitest';
import {
  NO_SOURCES,
  type RequirementSource,
  RequirementSources,
} from '../../../src/core/mcp/requirement-sources.js';

/** Tells of names that come and go. */
class Names implements RequirementSource {
  readonly scopes = new Map<string, string>();

  matching({ kind, name }: { kind: string; name: string }) {
    const scope = kind === 'tool' ? this.scopes.get(name) : undefined;
    return scope === undefined ? [] : [{ name, requirement: { all: [scope], anyOf: [] } }];
  }
}

describe('RequirementSources', () => {
  const [one, other] = [new Names(), new Names()];
  const tool = { kind: 'tool', name: 'notes_read' } as const;

  it('asks all of them for each operation, and keeps no answer', () => {
    const sources = new RequirementSources([one, other], false);
    expect(sources.matching(tool)).toEqual([]);
    one.scopes.set('notes_read', 'a');
    other.scopes.set('notes_read', 'b');
    expect(sources.matching(tool)).toEqual([
      { ...tool, requirement: { all: ['a'], anyOf: [] }, hidden: false },
      { ...tool, requirement: { all: ['b'], anyOf: [] }, hidden: false },
    ]);
    expect(sources.matching({ ...tool, kind: 'prompt' })).toEqual([]);
    one.scopes.delete('notes_read');
    expect(sources.matching(tool)).toHaveLength(1);
  });

  it('hides what they name, or not, and nothing where there is none', () => {
    one.scopes.set('notes_read', 'a');
    const hiding = new RequirementSources([one], true);
    expect(hiding.matching(tool)).toMatchObject([{ hidden: true }]);
    expect([hiding.hides, new RequirementSources([one], false).hides]).toEqual([true, false]);
    expect([new RequirementSources([], true).hides, NO_SOURCES.hides]).toEqual([false, false]);
    expect(NO_SOURCES.matching(tool)).toEqual([]);
  });
});
