import { readdirSync, readFileSync } from 'node:fs';

export interface CodeBlock {
  readonly page: string;
  readonly language: string;
  readonly code: string;
}

/** The README and every page of `docs/`. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export function codeBlocks(page: string): CodeBlock[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    page,
    language: match[1] ?? '',
    code: match[2] ?? '',
  }));
}
