/** How one challenge of `WWW-Authenticate` is written (RFC 9110 §11.6.1), and how long it may be. */

/** How long a challenge may be. */
interface Limits {
  readonly short: number;
  /** With parameters that a client needs. */
  readonly long: number;
}

/**
 * Together below 1 KB, one challenge in full and the brief one of a second scheme; below 3 KB where the
 * scopes or the resource URI are long. Proxies refuse answers whose headers pass 4 KB (nginx).
 */
export const FULL: Limits = { short: 900, long: 2800 };
export const BRIEF: Limits = { short: 100, long: 100 };
const NEEDED: readonly string[] = ['scope', 'resource_metadata'];

/** What a client can do without, in the order in which it is left out; what it needs most comes last. */
const DISPENSABLE = ['error_description', 'realm', 'scope', 'resource_metadata', 'algs'];
/** It knows where to get a token; what it does not know is what to ask for. */
const DISPENSABLE_FOR_SCOPES = ['error_description', 'realm', 'algs', 'resource_metadata', 'scope'];

/** In the order of `parameters`, without those that are not there; as little is left out as it takes. */
export function challengeText(
  scheme: string,
  parameters: Readonly<Record<string, string | undefined>>,
  { short, long }: Limits,
): string {
  const given = Object.entries(parameters);
  const render = (without: readonly string[]) =>
    `${scheme} ${given
      .filter(([name, value]) => !without.includes(name) && value !== undefined && value !== '')
      .map(([name, value]) => `${name}="${quotable(value ?? '')}"`)
      .join(', ')}`.trimEnd();
  const isAboutScopes = parameters['error'] === 'insufficient_scope';
  const dispensable = isAboutScopes ? DISPENSABLE_FOR_SCOPES : DISPENSABLE;
  for (let dropped = 0; dropped < dispensable.length; dropped++) {
    const challenge = render(dispensable.slice(0, dropped));
    const isNeeded = NEEDED.includes(dispensable[dropped] ?? '');
    if (challenge.length <= (isNeeded ? long : short)) return challenge;
  }
  return render(dispensable);
}

/** Inside a quoted-string (RFC 9110 §5.6.4) of printable ASCII; runs of anything else become a blank. */
export function quotable(value: string): string {
  return value.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]+/g, ' ').trim();
}
