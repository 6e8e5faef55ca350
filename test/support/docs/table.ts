import { readFileSync } from 'node:fs';

export type Row = Readonly<Record<string, string>>;

/** Rows of the table below a heading, by column name. */
export function tableBelow(page: string, heading: string): Row[] {
  const text = readFileSync(page, 'utf8');
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  const [names = [], , ...rows] = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.map((cells) => Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ''])));
}
