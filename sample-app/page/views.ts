import type { Settings } from '../settings.js';
import { html, type Markup } from './markup.js';
import type { WatchedDecision, WatchedUpstream } from './watch.js';
import { healthOf, reasonOf } from './words.js';

export interface PageSettings extends Settings {
  /** What each request needs. */
  readonly scope: string;
}

/** The parts that change, by the id of their element. */
export interface LiveParts {
  readonly upstreams: Markup;
  readonly decisions: Markup;
}

export function liveParts(
  upstreams: readonly WatchedUpstream[],
  decisions: readonly WatchedDecision[],
): LiveParts {
  return {
    upstreams: html`${upstreams.map(upstreamView)}`,
    decisions:
      decisions.length === 0
        ? html`<tr>
            <td class="none" colspan="6">Nobody has called yet.</td>
          </tr>`
        : html`${decisions.map(decisionView)}`,
  };
}

export function page(settings: PageSettings, { upstreams, decisions }: LiveParts): string {
  const { baseUrl, issuer, dpop, scope } = settings;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Gateway</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="page.css" />
        <noscript><meta http-equiv="refresh" content="5" /></noscript>
        <script src="page.js" type="module"></script>
      </head>
      <body>
        <header>
          <h1>Gateway</h1>
          <p id="live" role="status">
            as of <time datetime="${new Date().toISOString()}">${clockTime(new Date())}</time>
          </p>
        </header>
        <main>
          <section class="way" aria-label="The way of a call">
            <div class="stop">
              <h2>Clients</h2>
              <p>show a token for the gateway, and nothing else of theirs goes on.</p>
            </div>
            <div class="stop self">
              <h2>This gateway</h2>
              <p><code>${baseUrl}/mcp</code></p>
              <p>
                checks the token${dpop ? ', the proof of its key,' : ''} and its scopes:
                <code>${scope}</code> for everything, and those of each tool. Then it gets a token
                for the one server that is called.
              </p>
              <p class="dim">Tokens come from <code>${issuer}</code></p>
            </div>
            <div class="servers" id="upstreams">${upstreams}</div>
          </section>
          <section aria-labelledby="last">
            <h2 id="last">Last decisions</h2>
            <div class="scroll">
              <table class="decisions">
                <thead>
                  <tr>
                    <th>when</th>
                    <th>what came of it</th>
                    <th>who</th>
                    <th>asked for</th>
                    <th>at</th>
                    <th class="number">ms</th>
                  </tr>
                </thead>
                <tbody id="decisions">
                  ${decisions}
                </tbody>
              </table>
            </div>
          </section>
        </main>
        <footer>Times are UTC. No token, argument or result is ever shown here.</footer>
      </body>
    </html> `.text;
}

function upstreamView(upstream: WatchedUpstream): Markup {
  const { name, url, era, failingSince, tools } = upstream;
  const { mood, word, callers } = healthOf(upstream);
  return html`<article class="server ${mood}" data-name="${name}">
    <h2>${name} <span class="pill">${word}</span></h2>
    <p class="dim"><code>${url}</code>${era === undefined ? '' : ` · MCP ${era}`}</p>
    ${failingSince === undefined ? '' : html`<p class="since">since ${moment(failingSince)}</p>`}
    ${callers === '' ? '' : html`<p class="callers">${callers}</p>`}
    ${
      tools.length === 0
        ? ''
        : html`<ul>
            ${tools.map(toolView)}
          </ul>`
    }
  </article>`;
}

function toolView({ name, scopes }: WatchedUpstream['tools'][number]): Markup {
  const needs = [...scopes.all, ...scopes.any.map((some) => some.join(' or '))];
  const who =
    needs.length === 0
      ? html`<span class="dim">every caller</span>`
      : html`<span class="needs">needs ${needs.join(', ')}</span>`;
  return html`<li><code>${name}</code> ${who}</li>`;
}

function decisionView(decision: WatchedDecision): Markup {
  const { at, caller, method, name, upstream = '', outcome, durationMs, times } = decision;
  const who = caller === undefined ? 'nobody' : caller.sub;
  const took = durationMs === 0 ? '' : String(Math.max(1, Math.round(durationMs)));
  return html`<tr class="${outcome}">
    <td>${moment(at)}</td>
    <td>
      <span class="pill">${outcome}</span> ${reasonOf(decision)}
      ${times === 1 ? '' : html`<span class="dim">${times} times</span>`}
    </td>
    <td title="${caller === undefined ? '' : `client ${caller.clientId}`}">${who}</td>
    <td>${name === '' ? '' : html`<code>${name}</code> `}<span class="dim">${method}</span></td>
    <td>${upstream}</td>
    <td class="number">${took}</td>
  </tr>`;
}

function moment(at: Date): Markup {
  return html`<time datetime="${at.toISOString()}">${clockTime(at)}</time>`;
}

function clockTime(at: Date): string {
  return at.toISOString().slice(11, 19);
}
