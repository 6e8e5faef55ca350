import { describe, expect, it } from 'vitest';
import {
  approvalPage,
  connectionsPage,
  connectPage,
  errorPage,
} from '../../../src/testing/http/html-pages.js';

const EVIL = `<script>"'&`;
const ESCAPED = '&#60;script&#62;&#34;&#39;&#38;';
const approval = {
  ...{
    clientName: 'Notes',
    redirectUri: 'https://app.example/cb',
    resource: 'https://api.example',
  },
  ...{ scope: ['a', 'b'], user: 'user-1' },
};
const connect = { provider: 'google', resource: 'cal', returnUrl: 'http://localhost/', user: 'u' };

describe('pages of the stand-in', () => {
  it.each([
    ['approval', approvalPage(approval), 200],
    ['connect', connectPage(connect), 200],
    ['connections', connectionsPage(), 200],
    ['error', errorPage('client_id is unknown'), 400],
  ])('%s: HTML that runs nothing, is framed by nobody and is not stored', (_, reply, status) => {
    expect(reply.status).toBe(status);
    expect(reply.headers).toEqual({
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': 'no-store',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    });
    expect(reply.body).toMatch(/^<!doctype html>[^]*Not for production/);
  });

  it('say who asks for what, and where the user goes', () => {
    const { body = '' } = approvalPage(approval);
    for (const text of [
      'Notes',
      'https://api.example',
      'a b',
      'https://app.example/cb',
      'user-1',
    ]) {
      expect(body).toContain(text);
    }
    const bare = approvalPage({ ...approval, resource: undefined, scope: [] });
    expect(bare.body).toContain('<dd>none named</dd>');
    expect(bare.body).toContain('<dd>none</dd>');
    expect(connectPage(connect).body).toContain('google');
    expect(errorPage('client_id is unknown').body).toContain('client_id is unknown');
  });

  it('ask for a decision at the address they came from', () => {
    for (const { body } of [approvalPage(approval), connectPage(connect)]) {
      expect(body).toContain('<form method="post">');
      expect(body).toMatch(/name="decision" value="approve"[^]*name="decision" value="deny"/);
    }
  });

  it('show what is foreign as text', () => {
    const pages = [
      approvalPage({
        ...{ clientName: EVIL, redirectUri: EVIL, resource: EVIL, scope: [EVIL], user: EVIL },
      }),
      connectPage({ provider: EVIL, resource: EVIL, returnUrl: EVIL, user: EVIL }),
      errorPage(EVIL),
    ];
    for (const { body } of pages) {
      expect(body).not.toContain('<script');
      expect(body).toContain(ESCAPED);
    }
  });
});
