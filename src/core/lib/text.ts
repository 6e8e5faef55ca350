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
