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

/** `application/x-www-form-urlencoded` (RFC 6749 appendix B), for one value. */
export function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

/** The same text, for keeping: a part of a longer text may keep all of it in memory. For ASCII only. */
export function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
