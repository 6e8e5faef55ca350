import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { HiddenNames } from '../../../../src/nest/mcp/answers/hidden-names.js';
import { BEGUN_ESCAPES } from '../../../support/hostile/making-readers.js';
import { anyText } from '../../../support/text/any-text.js';

const tool = (name: string) => ({ kind: 'tool', name }) as const;
const resource = (name: string) => ({ kind: 'resource', name }) as const;

describe('HiddenNames', () => {
  const names = new HiddenNames();

  it.each([tool, resource])('any name comes back in JSON text', (named) => {
    fc.assert(
      fc.property(anyText(), (name) => {
        fc.pre(!/[\ufdd0-\ufdef]/.test(name));
        const standIn = names.standInFor(named(name));
        expect(standIn).not.toBe(name);
        const json = JSON.stringify({ text: `Tool ${standIn} not found` });
        expect(JSON.parse(names.restore(json))).toEqual({ text: `Tool ${name} not found` });
      }),
      { numRuns: 2500 },
    );
    const lone = 'x\ud800y';
    expect(names.restore(JSON.stringify(names.standInFor(named(lone))))).toBe(JSON.stringify(lone));
  });

  it('a URI comes back as the server shows it: as sent or normalised', () => {
    const uri = 'HTTPS://Example.com/a/../b';
    const standIn = names.standInFor(resource(uri));
    expect(names.restore(standIn)).toBe(uri);
    expect(names.restore(new URL(standIn).href)).toBe('https://example.com/b');
    expect(names.restore(new URL(names.standInFor(resource('no uri'))).href)).toBe('no uri');
  });

  it('9.9: a URI in text that is no JSON, or escaped as part of a URL, is written as there', () => {
    for (const uri of ['notes://a"b\\\\c', 'x://\u00e4 \n&=?#/%41']) {
      const standIn = names.standInFor(resource(uri));
      expect(names.restore(`no ${standIn}!`)).toBe(`no ${uri}!`);
      expect(names.restore(`/?of=${encodeURIComponent(standIn)}`)).toBe(
        `/?of=${encodeURIComponent(uri)}`,
      );
      const inBoth = (text: string) => JSON.stringify({ text, url: encodeURIComponent(text) });
      expect(names.restore(inBoth(standIn))).toBe(inBoth(uri));
    }
  });

  it('9.9: of a URI, letters at the ends of words are exchanged, from the end, never in scheme or domain', () => {
    const standIns = (uri: string) =>
      [...names.standInsFor(resource(uri))]
        .slice(0, -1)
        .map((one) => one.replace(/[\ufdd0-\ufde9]/, '*'));
    expect(standIns('x://days/monday?a=%7a1')).toEqual([
      ...['x://days/monday?*=%7a1', 'x://days/monda*?a=%7a1', 'x://days/*onday?a=%7a1'],
      ...['x://day*/monday?a=%7a1', 'x://*ays/monday?a=%7a1'],
    ]);
    expect(standIns('https://example.com/secret')).toEqual([
      ...['https://example.com/secre*', 'https://example.com/*ecret'],
    ]);
    expect(standIns('users://42')).toEqual([]);
    expect(standIns('cabinet/of/A')).toContain('cabine*/of/A');
    expect(standIns('x://a/b'.repeat(1000)).length).toBeLessThan(13);
  });

  it('9.9: any of them comes back as the server shows the URI: as sent, normalised, or in a URL', () => {
    for (const uri of ['HTTPS://Example.com/a/../b', 'notes://a"b/<c>?d=\u00e4', 'x://y/\ufdd0z']) {
      const restored = names.restore(uri);
      for (const standIn of names.standInsFor(resource(uri))) {
        if (uri !== restored && standIn.startsWith('Z')) continue;
        expect(names.restore(standIn)).toBe(restored);
        const { href } = new URL(standIn);
        expect(names.restore(href)).toBe(names.restore(new URL(uri).href));
        expect(decodeURIComponent(names.restore(encodeURIComponent(href)))).toBe(
          names.restore(new URL(uri).href),
        );
      }
    }
  });

  const html = (text: string) =>
    text.replace(/[^\w ]/g, (character) => `&#${character.charCodeAt(0)};`);
  const ascii = (text: string) =>
    JSON.stringify(text).replace(
      /[\u0080-\uffff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16)}`,
    );
  it.each<[string, (name: string) => string]>([
    ['shortened', (name) => `${name.slice(0, 9)}…`],
    ['shortened when it is long', (name) => (name.length > 12 ? `${name.slice(0, 9)}…` : name)],
    ['its end', (name) => name.slice(-4)],
    ['its length', (name) => `${name.length} characters`],
    ['in small letters', (name) => name.toLowerCase()],
    ['as JSON', (name) => JSON.stringify(name)],
    ['as JSON in JSON in JSON', (name) => JSON.stringify(JSON.stringify(JSON.stringify(name)))],
    ['as JSON in ASCII', ascii],
    ['as JSON in ASCII in JSON', (name) => JSON.stringify(ascii(name))],
    ['in a URL', encodeURIComponent],
    ['as HTML', html],
    [
      'as HTML in hex',
      (name) => html(name).replace(/&#(\d+);/g, (_, d) => `&#x${(+d).toString(16)};`),
    ],
  ])('9.9: however a host quotes the name: %s', (_, quote) => {
    for (const name of [
      'write',
      'admin_delete_everything',
      'a"b',
      'Ärger <x>',
      "it's/so\\qx",
      'zZ',
    ]) {
      const quoted = quote(names.standInFor(tool(name)));
      expect(names.restore(quoted)).toBe(quote(name));
    }
  });

  it('others can neither read nor write the stand-ins of URIs', () => {
    const foreign = new HiddenNames().standInFor(resource('x://write'));
    expect(names.restore(foreign)).toBe(foreign);
    expect(names.standInFor(resource('x://write'))).not.toContain('write');
  });

  it.each(BEGUN_ESCAPES)('hardening: %j again and again stays as a client has made it', (piece) => {
    const text = piece.repeat(1000);
    expect(names.restore(text)).toBe(text);
  });
});
