import { readFileSync } from 'node:fs';
import { sha256 } from '../../core/lib/digest.js';
import { isJsonObject, member } from '../../core/lib/members.js';

/** What becomes of a tool whose definition is not the one that was reviewed. */
export type PinMode = 'off' | 'warn' | 'block';

/** Reviewed definitions: by upstream and its own name of the tool, a hash. Kept as JSON in the repository. */
export interface PinFile {
  /** Of this format. */
  readonly version: 1;
  /** By name of the upstream, by its own name of the tool. */
  readonly tools: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

type Json = Readonly<Record<string, unknown>>;

/** All that a model reads of a tool, and what it is called with. */
const PINNED = ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations'];

/** SHA-256 of what is pinned of a tool, whatever the order of members. */
export function pinOf(tool: Json): string {
  const pinned = PINNED.flatMap((name) => {
    const value = member(tool, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return sha256(canonical(Object.fromEntries(pinned)));
}

/** @throws Error with the reason why it is no such file */
export function readPins(file: string): PinFile {
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const tools = isJsonObject(content) ? member(content, 'tools') : undefined;
  const isOurs = isJsonObject(content) && member(content, 'version') === 1;
  if (!isOurs || !isJsonObject(tools) || !Object.values(tools).every(isTableOfTexts)) {
    throw new Error('it is no file of pins');
  }
  return { version: 1, tools: tools as PinFile['tools'] }; // checked above
}

function isTableOfTexts(value: unknown): boolean {
  return isJsonObject(value) && Object.values(value).every((one) => typeof one === 'string');
}

/** As deep as answers of upstreams may be nested. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${members.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join(',')}}`;
}
