/**
 * Text of the other side in a message for operators: bounded, printable ASCII, and in the form of
 * JSON, so that nothing breaks the line, moves the cursor or hides, and every character can be told.
 */
export function quoted(text: string, maxLength = 200): string {
  return JSON.stringify(text.slice(0, maxLength)).replace(/[^\x20-\x7e]/g, escaped);
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** For texts that users or operators read as they are: bounded, with a `?` for each character that is not printable ASCII. */
export function printable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replace(/[^\x20-\x7e]/g, '?');
}

/** The same in words: a blank for each run of such characters, and none at the ends. */
export function oneLine(text: string, maxLength: number): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, maxLength);
}

/** `application/x-www-form-urlencoded` (RFC 6749 appendix B), for one value: what `URLSearchParams` makes of it. */
export function formEncoded(text: string): string {
  if (FORM_LITERALS.test(text)) return text;
  return encodeURIComponent(text.toWellFormed()).replace(/%20|[!'()~]/g, inForms);
}

/** What stands in a form as it is; all of a token, as good as always. */
const FORM_LITERALS = /^[\w*.-]*$/;

/** Where forms differ from the components of a URI. */
function inForms(text: string): string {
  return text === '%20' ? '+' : `%${text.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** The body of a form. */
export function formOf(parameters: readonly (readonly [name: string, value: string])[]): string {
  return parameters.map(([name, value]) => `${formEncoded(name)}=${formEncoded(value)}`).join('&');
}

/** The same text, for keeping: a part of a longer text may keep all of it in memory. For ASCII only. */
export function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
