/** Prints what was done, and what came of it. */
export type Step = (title: string, ...details: string[]) => void;

export function numbered(print: (line: string) => void): Step {
  let number = 0;
  return (title, ...details) => {
    print(`\n${++number}. ${title}`);
    for (const detail of details) print(detail.replace(/^/gm, '     '));
  };
}
