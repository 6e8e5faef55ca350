/** HTML that is safe to send. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = Markup | readonly Markup[] | string | number;

/** HTML with values in it: text is escaped, whoever wrote it. */
export function html(literals: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(String.raw({ raw: literals }, ...values.map(textOf)));
}

function textOf(value: Part): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
