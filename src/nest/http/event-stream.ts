/** After the end of a line; a CR at the end of the text may still be half of a CRLF. */
const AFTER_LINE = /(?<=\n|\r(?!\n))/;
const BYTE_ORDER_MARK = '\ufeff';

/**
 * Gets the data of an event, its type (empty: a message) and the id in front of its data, and returns
 * what is sent as its data. `undefined`: the event stays without data, and is then none for the client.
 */
export type RewriteEvent = (data: string, type: string, id: string) => string | undefined;

/**
 * Rewrites the data of the events in an event stream (WHATWG HTML §9.2), in pieces as they come. The
 * data of an event is all its `data` lines together. Events whose data stays as it is, and all other
 * lines, keep their bytes, and wait for nothing but the end of an event that has data.
 */
export class EventStream {
  readonly #rewrite: RewriteEvent;
  #isBegun = false;
  #endedInCR = false;
  /** A line that has not ended. */
  #line = '';
  /** Lines of an event that has not ended, from its first `data` line on. */
  #held: string[] = [];
  #type = '';
  #id = '';

  constructor(rewrite: RewriteEvent) {
    this.#rewrite = rewrite;
  }

  /** Whether all that came has gone on, so that whatever comes next begins an event. */
  get isBetweenEvents(): boolean {
    return !this.#endedInCR && this.#line === '' && this.#held.length === 0;
  }

  /** Whole events have gone on without it. */
  skip(): void {
    this.#isBegun = true;
  }

  push(text: string): string {
    if (text === '') return '';
    const mark = !this.#isBegun && text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
    this.#isBegun = true;
    const pieces = text.slice(mark.length).split(AFTER_LINE);
    return mark + pieces.map((piece) => this.#take(piece)).join('');
  }

  /** What is left; the last event may lack its end, and not every client drops it then. */
  end(): string {
    if (this.#line !== '') this.#held.push(this.#line);
    this.#line = '';
    return this.#endEvent();
  }

  #take(piece: string): string {
    const isLateLF = this.#endedInCR && piece === '\n';
    this.#endedInCR = piece.endsWith('\r');
    if (isLateLF) return this.#completeCRLF();
    this.#line += piece;
    return piece.endsWith('\n') || piece.endsWith('\r') ? this.#endLine() : '';
  }

  /** Its CR has ended the line before. */
  #completeCRLF(): string {
    const last = this.#held.pop();
    if (last === undefined) return '\n'; // after what is sent already
    this.#held.push(`${last}\n`);
    return '';
  }

  #endLine(): string {
    const line = this.#line;
    this.#line = '';
    if (this.#held.length === 0 && isBlank(line)) this.#type = this.#id = '';
    this.#type = typeOf(line) ?? this.#type;
    this.#id = idOf(line) ?? this.#id;
    if (this.#held.length === 0 && dataOf(line) === undefined) return line;
    this.#held.push(line);
    return isBlank(line) ? this.#endEvent() : '';
  }

  #endEvent(): string {
    const lines = this.#held;
    this.#held = [];
    const data = lines.flatMap((line) => dataOf(line) ?? []);
    const text = data.join('\n');
    const rewritten = data.length === 0 ? text : this.#rewrite(text, this.#type, this.#id);
    this.#type = this.#id = '';
    if (rewritten === undefined) return withoutData(lines);
    return rewritten === text ? lines.join('') : withData(lines, rewritten);
  }
}

function isBlank(line: string): boolean {
  return line.startsWith('\r') || line.startsWith('\n');
}

/** The value of a `data` field; `undefined` for any other line. */
function dataOf(line: string): string | undefined {
  return valueOf('data', line);
}

function typeOf(line: string): string | undefined {
  return valueOf('event', line);
}

function idOf(line: string): string | undefined {
  return valueOf('id', line);
}

/** Of a field with that name; without a colon its value is empty. */
function valueOf(field: string, line: string): string | undefined {
  if (!line.startsWith(field)) return undefined;
  const text = line.slice(field.length, line.length - lengthOfEnd(line));
  if (text === '') return '';
  if (!text.startsWith(':')) return undefined;
  return text.slice(text.startsWith(': ') ? 2 : 1);
}

function lengthOfEnd(line: string): number {
  if (line.endsWith('\r\n')) return 2;
  return line.endsWith('\n') || line.endsWith('\r') ? 1 : 0;
}

/** Clients ignore an event without data. */
function withoutData(lines: readonly string[]): string {
  return lines.filter((line) => dataOf(line) === undefined).join('');
}

/**
 * In place and in the form of the first `data` line, which is the first of all. The others end like it,
 * or one that ends in CR could come to stand in front of a blank line that is an LF, and swallow it.
 */
function withData([first = '', ...others]: readonly string[], data: string): string {
  const field = /^data: ?/.exec(first)?.[0] ?? 'data: ';
  const lineEnd = /[\r\n]{0,2}$/.exec(first)?.[0] ?? '';
  const kept = others.filter((line) => dataOf(line) === undefined);
  return [
    ...data.split('\n').map((line) => (line.startsWith(' ') ? 'data: ' : field) + line + lineEnd),
    ...kept.map((line) =>
      isBlank(line) && lineEnd !== '\r' ? line : line.replace(/[\r\n]{0,2}$/, lineEnd),
    ),
  ].join('');
}
