import { isUtf8 } from 'node:buffer';

const START = '=?base64?';
const END = '?=';

/** A value of `Mcp-Name` or `Mcp-Param-*` (MCP 2026-07-28): text that is no plain ASCII goes in base64. */
export function headerText(text: string): string {
  const isPlain = isPrintable(text) && text === text.trim() && !text.startsWith('=?');
  return isPlain ? text : START + Buffer.from(text).toString('base64') + END;
}

/** What such a header says; `undefined` for one that is encoded wrongly. */
export function textOfHeader(header: string): string | undefined {
  const value = header.trim();
  if (!value.startsWith(START) || !value.endsWith(END)) return value;
  const encoded = value.slice(START.length, -END.length);
  const bytes = Buffer.from(encoded, 'base64');
  return isUtf8(bytes) && bytes.toString('base64') === encoded ? bytes.toString() : undefined;
}

function isPrintable(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}
