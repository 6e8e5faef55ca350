/** Compiling all blocks once more takes as long as the first time: `pages.spec.ts` does it as this project does. */
import { expect, test } from 'vitest';
import { compileBlocks } from '../support/docs/compile-blocks.js';
import { pages } from '../support/docs/markdown.js';

test('14.9: every TypeScript block compiles with the types of a browser, as in every project of the Nest CLI', () => {
  expect(compileBlocks(pages, { ofBrowser: true })).toEqual([]);
});
