import { describe, expect, it } from 'vitest';
import { AllowedOrigins } from '../../../src/nest/mcp/allowed-origins.js';

const resource = 'https://mcp.example.com:8443/mcp';
const rules = (allowedOrigins?: readonly string[] | false, devMode = false) =>
  new AllowedOrigins({ resource }, allowedOrigins === undefined ? {} : { allowedOrigins }, devMode);

describe('AllowedOrigins', () => {
  it.each([
    'https://mcp.example.com',
    'http://mcp.example.com:8443',
    'https://MCP.example.com:8443',
    'https://mcp.example.com:8443/',
    'https://mcp.example.com:8443.evil.example',
    'https://evil.example',
    'http://localhost:6274',
    'null',
    '*',
    '',
  ])('10.23: by default the origin of the resource and no other: %s', (origin) => {
    expect(rules().allows('https://mcp.example.com:8443')).toBe(true);
    expect(rules().allows(origin)).toBe(false);
  });

  it.each([
    'http://localhost',
    'http://localhost:6274',
    'https://127.0.0.1:1',
    'http://[::1]:65535',
  ])('10.23: with devMode those of this machine: %s', (origin) => {
    expect(rules(undefined, true).allows(origin)).toBe(true);
    expect(rules(['https://app.example.com'], true).allows(origin)).toBe(false);
  });

  it.each([
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://127.0.0.1@evil.example',
    'http://localhost:6274/path',
    'ftp://localhost',
    'http://192.168.0.1',
    ' http://localhost',
  ])('hardening: and nothing that only looks like it: %j', (origin) => {
    expect(rules(undefined, true).allows(origin)).toBe(false);
  });

  it('a list says it all; false says nothing', () => {
    expect(rules(['vscode-webview://a']).allows('vscode-webview://a')).toBe(true);
    expect(rules(['vscode-webview://a']).allows('https://mcp.example.com:8443')).toBe(false);
    expect(rules([]).allows('https://mcp.example.com:8443')).toBe(false);
    expect(rules(false).allows('https://evil.example')).toBe(true);
  });

  it('10.23: one line at the start, where nobody has decided', () => {
    expect(rules().announcement).toMatch(
      /only of https:\/\/mcp\.example\.com:8443; .*allowedOrigins/,
    );
    expect(rules(undefined, true).announcement).toContain('and of this machine');
    expect([rules([]).announcement, rules(false).announcement]).toEqual([undefined, undefined]);
  });
});
