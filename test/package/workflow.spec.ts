import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const workflow = readFileSync('.github/workflows/ci.yml', 'utf8');

describe('11.10: the workflow', () => {
  test('takes every action by its commit, and says which version that is', () => {
    const uses = [...workflow.matchAll(/uses: (.+)/g)].map(([, action = '']) => action);
    expect(uses.length).toBeGreaterThan(0);
    expect(uses.filter((action) => !/^[\w./-]+@[0-9a-f]{40} # v\d/.test(action))).toEqual([]);
  });

  test('runs every spec of the packed package', () => {
    const [, listed = ''] = /spec:\n((?: +- .+\n)+)/.exec(workflow) ?? [];
    const names = [...listed.matchAll(/- (.+)/g)].map(([, name]) => name);
    const specs = readdirSync('test/package/matrix')
      .filter((name) => name.endsWith('.spec.ts'))
      .map((name) => name.replace('.spec.ts', ''));
    expect(names.sort()).toEqual(specs.sort());
  });

  test('runs every script that `.ci/run` runs', () => {
    const scripts = (text: string) =>
      new Set([...text.matchAll(/npm (?:run )?([\w:]+)/g)].map(([, script = '']) => script));
    const missing = [...scripts(steps())].filter((script) => !scripts(workflow).has(script));
    expect(missing).toEqual([]);
  });

  test('publishes only tags, when all else has passed', () => {
    const jobs = [...workflow.matchAll(/^ {2}(\w+):\n {4}name:/gm)].map(([, job = '']) => job);
    const others = jobs.filter((job) => job !== 'release');
    const release = workflow.slice(workflow.indexOf('\n  release:'));
    expect(release).toContain("if: github.ref_type == 'tag'");
    expect(release).toContain(`needs: [${others.join(', ')}]`);
    expect(release).toContain('npm publish --provenance');
  });
});

function steps(): string {
  return readFileSync('.ci/run', 'utf8')
    .split('\n')
    .filter((line) => /^step |^\s+(?:time |\w+=\S+ .*npm )/.test(line))
    .join('\n')
    .replace(/step '[^']*'/g, '');
}
