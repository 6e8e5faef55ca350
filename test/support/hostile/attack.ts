import type { Agent } from 'node:http';
import { type Platform, platforms } from '../nest/start-app.js';
import { type Answer, HostileMessages, send, type Targets } from './host-messages.js';

/** Shared by two platforms and both ways to list. */
export const isFull = process.env['AUTHPLANE_STRESS'] === 'full'; // five minutes for each host
export const COUNT = (isFull ? 200_000 : 2000) / 4;
export const SIMULTANEOUS = 16;

export interface Attacked {
  readonly origin: string;
  readonly targets: Targets;
  token(scope?: string): Promise<string>;
  /** What ran, other than what needs nothing. */
  ran(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export type Way = readonly [platform: Platform, list: 'show' | 'hide', seed: number];
export const ways: readonly Way[] = platforms.flatMap((platform, index): Way[] => [
  [platform, 'hide', 2 * index + 1],
  [platform, 'show', 2 * index],
]);

export interface Attack {
  readonly seed: number;
  readonly hasSessions?: boolean;
  readonly scope?: string;
  readonly count?: number;
  /** Asked now and then: nothing more is sent once it says so. */
  readonly isEnough?: () => Promise<boolean>;
}

/** Shows that the messages are such as would run all there is. */
export const ATTACK_WITH_SCOPE = { seed: 0, scope: 'x', count: 1500 } as const;

/** For {@link Attack.isEnough}: whether all of these have run. */
export async function hasRun(attacked: Attacked, names: readonly string[]): Promise<boolean> {
  return (await notRun(attacked, names)).length === 0;
}

export async function notRun(attacked: Attacked, names: readonly string[]): Promise<string[]> {
  const ran = await attacked.ran();
  return names.filter((name) => name !== attacked.targets.open && !ran.includes(name));
}

/** What was answered with a 5xx, or not at all. */
export async function attack(attacked: Attacked, agent: Agent, how: Attack): Promise<unknown[]> {
  const { seed, hasSessions = false, scope, count = COUNT, isEnough } = how;
  const { origin, targets } = attacked;
  const messages = new HostileMessages(targets, seed);
  const failures: unknown[] = [];
  let authorization = await attacked.token(scope);
  let session = hasSessions ? await open() : undefined;
  let sent = 0;
  let isOver = false;

  async function open(): Promise<string | undefined> {
    const clientInfo = { name: 'x', version: '1' };
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
    const body = { jsonrpc: '2.0', id: 1, method: 'initialize', params };
    const headers = {
      authorization,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const message = { method: 'POST', path: '/mcp', headers };
    const init = { ...message, body: Buffer.from(JSON.stringify(body)) };
    return (await send(origin, agent, init)).sessionId;
  }

  async function worker(): Promise<void> {
    while (sent < count && !isOver) {
      sent++;
      if (sent % 100 === 0) isOver = (await isEnough?.()) === true;
      if (sent % 1000 === 0) {
        authorization = await attacked.token(scope);
      }
      const message = messages.next(session);
      const headers: Record<string, string> = { ...message.headers, authorization };
      let answer: Answer | undefined;
      try {
        answer = await send(origin, agent, { ...message, headers });
      } catch (error) {
        failures.push({ ...shown(message), error: String(error) });
      }
      if (answer !== undefined && answer.status >= 500) {
        failures.push({ ...shown(message), ...answer });
      }
      const isEnded = answer?.status === 404 && headers['mcp-session-id'] === session;
      if (hasSessions && isEnded) session = await open();
    }
  }

  await Promise.all(Array.from({ length: SIMULTANEOUS }, worker));
  return failures;
}

function shown({ body, ...message }: ReturnType<HostileMessages['next']>): object {
  return { ...message, body: body.toString('latin1').slice(0, 500) };
}
