/** What a newcomer runs first: the gateway of the sample, the walk through it, and its page. */

import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, chromium, type Page } from 'playwright-core';
import { freePorts } from '../../sample-app/free-ports.js';
import { html } from '../../sample-app/page/markup.js';
import { type Sample, startSample } from '../../sample-app/sample.js';
import { settingsFrom } from '../../sample-app/settings.js';
import { Person } from '../../sample-app/walk/person.js';
import { walk } from '../../sample-app/walk/walk.js';
import { until } from '../support/time/until.js';

/** Of Debian, and of machines that have the browser of the vendor. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
/** Set by whoever wants the picture of the documents made anew: a file to write. */
const PICTURE = process.env['AUTHPLANE_SCREENSHOT'];

async function start(
  dpop: boolean,
  ports?: readonly [number, number],
  cooldownSeconds?: number,
): Promise<{ sample: Sample; url: string }> {
  const [port, devPort] = ports ?? (await freePorts());
  const env = { PORT: String(port), AUTHPLANE_DEV_PORT: String(devPort) };
  const choices = { dpop, ports: await freePorts() };
  const settings = settingsFrom(env, {
    ...choices,
    ...(cooldownSeconds === undefined ? {} : { cooldownSeconds }),
  });
  return { sample: await startSample(settings, ['error']), url: `${settings.baseUrl}/` };
}

describe('14.8: the walk of the sample', () => {
  // At the same time: both wait for the pause after an outage.
  test.concurrent.each([false, true])('takes every step, DPoP: %s', async (dpop) => {
    const { sample } = await start(dpop, undefined, 6); // a few calls take seconds on a crowded machine
    const lines: string[] = [];
    try {
      await walkThrough(sample, dpop, (line) => lines.push(line));
    } finally {
      await sample.close();
    }
    const steps = lines.join('\n').split(/\n\n|^\n/);
    const titles = steps.map((step) => step.split('\n', 1)[0]).filter((title) => title !== '');
    expect(titles).toEqual([
      '1. no token: HTTP 401 and a challenge',
      expect.stringMatching(/^2\. the challenge leads to the resource metadata: http/),
      '3. the MCP client finds the authorization server and registers',
      expect.stringMatching(/^4\. the user is sent to the authorization server/),
      expect.stringMatching(
        dpop ? /^5\. .* bound to its key$/ : /^5\. .* \(PKCE, resource indicator\)$/,
      ),
      expect.stringMatching(/^6\. tools\/list/),
      expect.stringMatching(/^7\. tools\/call desk__add/),
      expect.stringMatching(/^8\. tools\/call desk__whoami/),
      '9. tools/call desk__now_utc: HTTP 403, the tool needs a scope',
      expect.stringMatching(/^10\. the client asks the user for it/),
      '11. the new token has the scopes gateway:use gateway:time; the same call again',
      expect.stringMatching(/^12\. tools\/call calendar__list_events: .*\(-32042\)$/),
      expect.stringMatching(/^13\. the user agrees/),
      expect.stringMatching(/^14\. tools\/list again/),
      expect.stringMatching(/^15\. another user signs in/),
      expect.stringMatching(/^16\. tools\/call calendar__list_events: .* input_required/),
      expect.stringMatching(/^17\. bob agrees/),
      '18. the calendar is stopped: its calls fail, by name',
      expect.stringMatching(/^19\. after two failures it is spared/),
      expect.stringMatching(/^20\. meanwhile tools\/call desk__add works/),
      expect.stringMatching(/^21\. the calendar is started: it is back/),
    ]);
    const said = (number: number) => steps.find((step) => step.startsWith(`${number}. `)) ?? '';
    expect(said(6)).toMatch(/desk__add[^]*not shown: calendar/);
    expect(JSON.parse(said(8).slice(said(8).indexOf('{')))).toMatchObject({
      ...{ subject: 'alice', client: 'gateway', scopes: ['mcp:tools'] },
    });
    expect(said(13)).toContain('09:00 Stand-up, 14:00 Dentist');
    expect(said(14)).toMatch(/desk__add[^]*calendar__create_event/);
    expect(said(18)).toContain('HTTP 502: calendar gave no answer that can be used');
    expect(said(19)).toMatch(/HTTP 503, Retry-After: [1-6]: calendar is not available/);
    expect(said(20)).toMatch(/calendar: failing since .*, breaker open/);
    expect(said(21)).toMatch(/calendar: up, breaker closed/);
  });
});

describe('14.8: the page of the sample', () => {
  let sample: Sample;
  let url: string;
  let bob: Person;
  const tokens: string[] = [];
  beforeAll(async () => {
    ({ sample, url } = await start(false, PICTURE === undefined ? undefined : [8080, 9000]));
    await walkThrough({ ...sample, calendar: undefined }, false, () => undefined);
    bob = await signedIn(sample, 'bob');
    await bob.list();
    tokens.push(bob.provider.tokens()?.access_token ?? '');
  });
  afterAll(async () => {
    await bob.close();
    await sample.close();
  });

  test('says at the first view what runs, who may call what, and how the last calls ended', async () => {
    const response = await fetch(url);
    const text = await response.text();
    for (const part of [
      'desk__now_utc',
      'needs gateway:time',
      'alice',
      'the user is asked to agree',
    ]) {
      expect(text).toContain(part);
    }
    expect(response.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(text).not.toMatch(/<script(?! src=)|<style|\sstyle=|\son\w+=/); // what the policy would stop
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    for (const path of ['page.css', 'page.js']) expect((await fetch(url + path)).status).toBe(200);
  });

  test('its stream can be read by no other page, and ends with the application', async () => {
    const response = await fetch(`${url}live`, { headers: { origin: 'http://elsewhere.example' } });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    const [first] = (await new Response(firstChunk(response)).text()).match(/^data: .+$/m) ?? [];
    expect(Object.keys(JSON.parse(first?.slice(6) ?? '{}'))).toEqual(['upstreams', 'decisions']);
  });

  const exceptForThePicture = test.skipIf(PICTURE !== undefined);
  exceptForThePicture(
    'holds no token and no secret, and escapes what clients call things',
    async () => {
      await bob.call('<img src=x onerror=alert(1)>').catch(() => undefined);
      const text = await (await fetch(url)).text();
      expect(text).toContain('&#60;img src=x');
      expect(text).not.toMatch(/<img|eyJ|sample-secret|calendar-[\w-]{43}/);
      for (const token of tokens) expect(text).not.toContain(token);
      expect(html`<p>${'<"&\''}${html`<b></b>`}</p>`.text).toBe(
        '<p>&#60;&#34;&#38;&#39;<b></b></p>',
      );
    },
  );

  const inChromium = CHROMIUM === undefined ? describe.skip : describe;
  if (CHROMIUM === undefined) {
    console.warn(
      'SKIPPED: there is no Chromium for the page of the sample; install the package chromium',
    );
  }
  inChromium('in Chromium', () => {
    let browser: Browser;
    const problems: string[] = [];
    beforeAll(async () => {
      const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
      const quiet = [
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ];
      browser = await chromium.launch({ executablePath: CHROMIUM!, args: [...args, ...quiet] });
    });
    afterAll(() => browser.close());

    async function open(options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
      const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, ...options });
      page.on('console', (message) => problems.push(message.text()));
      page.on('pageerror', (error) => problems.push(String(error)));
      await page.goto(url);
      return page;
    }
    const card = (page: Page, name: string) => page.locator(`[data-name="${name}"]`);

    test('shows without JavaScript what the gateway knows', async () => {
      const page = await open({ javaScriptEnabled: false });
      expect(await card(page, 'desk').innerText()).toMatch(/desk\s+up/);
      expect(await page.locator('#decisions tr').count()).toBeGreaterThan(5);
      await page.close();
    });

    test('follows a server that goes down, in words for callers, and one that comes back', async () => {
      const page = await open();
      await page.waitForSelector('[data-live="yes"]');
      await sample.calendar?.stop();
      for (let call = 0; call < 3; call++)
        await bob.call('calendar__list_events').catch(() => undefined);
      await card(page, 'calendar').locator('.callers', { hasText: '503' }).waitFor();
      const text = await card(page, 'calendar').innerText();
      expect(text).toMatch(/down[^]*since \d\d:\d\d:\d\d, \d+ s[^]*Lists show what it offered/);
      expect(await card(page, 'desk').innerText()).toMatch(/desk\s+up/);
      expect(await page.locator('#decisions tr').first().innerText()).toMatch(
        /failed\s+spared, 503/,
      );
      if (PICTURE !== undefined) await page.screenshot({ path: PICTURE, fullPage: true });
      await sample.calendar?.start();
      await until(() =>
        bob.call('calendar__list_events').then(
          () => true,
          () => false,
        ),
      );
      await card(page, 'calendar').locator('.pill', { hasText: 'up' }).waitFor();
      expect(problems).toEqual([]);
      await page.close();
    });

    test('fits on a telephone', async () => {
      const page = await open({ viewport: { width: 390, height: 800 } });
      const width = await page.evaluate('document.documentElement.scrollWidth');
      expect(width).toBeLessThanOrEqual(390);
      await page.close();
    });

    test('says when the gateway itself does not answer', async () => {
      const page = await open();
      await page.waitForSelector('[data-live="yes"]');
      problems.length = 0; // the browser itself reports that the stream is gone
      await sample.close();
      await page.waitForSelector('[data-live="no"]');
      expect(await page.locator('#live').innerText()).toMatch(
        /does not answer since \d\d:\d\d:\d\d/,
      );
      await page.close();
    });
  });
});

async function walkThrough(
  { mcpUrl, authorizationServer, calendar, upstreams }: Sample,
  dpop: boolean,
  print: (line: string) => void,
): Promise<void> {
  await walk({
    ...{ mcpUrl, dpop, print },
    approve: (to, user) => authorizationServer!.approve(to, { user }),
    approveConsent: (to, user) => authorizationServer!.approveConsent(to, { user }),
    ...(calendar === undefined ? {} : { calendar, states: () => upstreams.states() }),
  });
}

/** One who has agreed before. */
async function signedIn({ mcpUrl, authorizationServer }: Sample, name: string): Promise<Person> {
  const approve = (to: URL) => authorizationServer!.approve(to, { user: name });
  const person = await Person.with({ mcpUrl, name, era: 'auto', approve });
  await person.approve(await person.askForAccess());
  await person.connect();
  return person;
}

function firstChunk({ body }: Response): ReadableStream {
  const reader = body!.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { value } = await reader.read();
      controller.enqueue(value);
      controller.close();
      await reader.cancel();
    },
  });
}
