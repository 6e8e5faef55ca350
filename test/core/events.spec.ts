import { describe, expect, it } from 'vitest';
import { NoCallerError } from 'authplane-nestjs/core';
import { type AuthplaneEvent, eventCaller, Events } from '../../src/core/events.js';
import type { Caller } from '../../src/core/token/caller.js';

const refused: AuthplaneEvent = { type: 'refused', by: 'guard', error: new NoCallerError() };
const caller = {
  method: 'access_token',
  resource: 'https://mcp.example/mcp',
  claims: { issuer: 'https://as.example', sub: 'alice', clientId: 'client', raw: { jti: 'j' } },
  authentication: { token: 'header.payload.signature' },
} as unknown as Caller;

describe('Events', () => {
  it('go to every listener until it ends', () => {
    const events = new Events();
    const heard: unknown[] = [];
    const end = events.onEvent((event) => heard.push(event));
    events.emit(refused);
    end();
    events.emit(refused);
    expect(heard).toEqual([refused]);
  });

  it('a listener that throws or rejects changes nothing', () => {
    const events = new Events();
    const heard: unknown[] = [];
    events.onEvent(() => {
      throw new Error('broken');
    });
    events.onEvent(() => Promise.reject(new Error('broken')));
    events.onEvent((event) => heard.push(event));
    expect(() => events.emit(refused)).not.toThrow();
    expect(heard).toEqual([refused]);
  });

  it('admissions are for those who asked for them', () => {
    const events = new Events();
    const heard: string[] = [];
    events.onEvent(({ type }) => heard.push(`plain ${type}`));
    expect(events.hearsAdmissions).toBe(false);
    const end = events.onEvent(({ type }) => heard.push(`all ${type}`), { admissions: true });
    expect(events.hearsAdmissions).toBe(true);
    events.emit({ type: 'admitted', caller: eventCaller(caller), operations: [] });
    events.emit(refused);
    end();
    expect(events.hearsAdmissions).toBe(false);
    expect(heard).toEqual(['all admitted', 'plain refused', 'all refused']);
  });

  it('a caller in an event is who it is, and not what they have shown', () => {
    expect(eventCaller(caller)).toEqual({
      method: 'access_token',
      resource: 'https://mcp.example/mcp',
      issuer: 'https://as.example',
      sub: 'alice',
      clientId: 'client',
    });
  });
});
