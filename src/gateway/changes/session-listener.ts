import { setTimeout as delay } from 'node:timers/promises';
import { member, memberOf } from '../../core/lib/members.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { LegacySession } from '../upstream/legacy-session.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { type Message, messagesOf } from '../upstream/reply-messages.js';
import type { UpstreamSessions } from '../upstream/upstream-sessions.js';
import type { Upstream } from '../upstream/upstream.js';
import { METHOD_NOT_FOUND } from '../wire/json-rpc-answer.js';
import type { ChangeListener } from './event-stream.js';
import { ALL_LISTS, changesOf } from './listen-filter.js';
import { noteChange, pauseAfter } from './upstream-changes.js';

/** Of the client whose session it is. */
export interface SessionHearer extends ChangeListener {
  /** Any other notification. */
  told?(message: Message, session: LegacySession): void;
  /** @returns whether somebody is asked, who answers the session */
  asked?(question: Message, session: LegacySession): boolean;
}

/** What is heard makes lists old; what fails is for the log. */
type ListenerRegistry = Pick<UpstreamRegistry, 'catalogue' | 'log'>;

/** Where the session is, and the one that takes the place of a lost one. */
type Listened = Pick<UpstreamSessions, 'with' | 'reopened'>;

/** A server that forgets a session as soon as it is opened has none. */
const MAX_LOST = 2;

/** What an upstream says outside of calls, in the session that a client has with it. */
export class SessionListener {
  readonly #upstream: Upstream;
  readonly #sessions: Listened;
  readonly #registry: ListenerRegistry;
  readonly #hearer: SessionHearer;

  constructor(
    upstream: Upstream,
    sessions: Listened,
    registry: ListenerRegistry,
    hearer: SessionHearer,
  ) {
    this.#upstream = upstream;
    this.#sessions = sessions;
    this.#registry = registry;
    this.#hearer = hearer;
  }

  /** Until the signal. Never rejects: an upstream that is away comes back some time, and may have changed then. */
  async listen(asking: Omit<Asking, 'timeoutMs'>): Promise<void> {
    const { signal } = asking;
    let lost = 0;
    for (let failures = 0; !signal.aborted && lost < MAX_LOST; failures++) {
      try {
        const session = await this.#sessions.with(this.#upstream, asking);
        const reply = await session.listen(asking);
        if (reply.status === 404 && session.hasId) {
          lost++;
          reply.body.on('error', () => undefined).destroy();
          await this.#sessions.reopened(session, asking);
          continue;
        }
        if (reply.status !== 200 || !reply.isEvents) {
          reply.body.on('error', () => undefined).destroy();
          return; // says nothing outside of calls
        }
        if (failures > 0) this.#missed();
        failures = 0;
        lost = 0;
        for await (const message of messagesOf(this.#upstream, reply))
          this.#pass(message, session, asking);
      } catch (error) {
        if (!signal.aborted) this.#registry.log(error);
      }
      await delay(pauseAfter(failures), undefined, { signal, ref: false }).catch(() => undefined); // ended: looked at above
    }
  }

  #missed(): void {
    for (const method of changesOf(ALL_LISTS)) this.#changed(method);
  }

  #changed(method: string): boolean {
    const isOfList = noteChange(this.#upstream, method, this.#registry);
    if (isOfList) this.#hearer.changed(method);
    return isOfList;
  }

  #pass(message: Message, session: LegacySession, asking: Omit<Asking, 'timeoutMs'>): void {
    const method = member(message, 'method');
    if (typeof method !== 'string') return;
    if (Object.hasOwn(message, 'id')) return this.#asked(method, message, session, asking);
    if (this.#changed(method)) return;
    const uri = memberOf(member(message, 'params'), 'uri');
    if (method === 'notifications/resources/updated' && typeof uri === 'string') {
      this.#hearer.updated(uri);
    } else this.#hearer.told?.(message, session);
  }

  #asked(
    method: string,
    question: Message,
    session: LegacySession,
    asking: Omit<Asking, 'timeoutMs'>,
  ): void {
    const id = member(question, 'id');
    if (method === 'ping') return session.answer(id, { result: {} }, asking);
    if (this.#hearer.asked?.(question, session) === true) return;
    const error = { code: METHOD_NOT_FOUND, message: 'Method not found' };
    session.answer(id, { error }, asking);
  }
}
