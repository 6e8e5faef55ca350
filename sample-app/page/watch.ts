import { type BeforeApplicationShutdown, Injectable, type OnModuleInit } from '@nestjs/common';
import {
  type GatewayDecision,
  GatewayUpstreams,
  McpGateway,
  type OfferedTool,
  type UpstreamState,
} from 'authplane-nestjs/gateway';
import { interval, merge, type Observable, Subject, takeUntil } from 'rxjs';

/** An upstream, and what it offers. */
export interface WatchedUpstream extends UpstreamState {
  readonly tools: readonly OfferedTool[];
}

/** A decision that was made several times in a row, as it was the last time. */
export interface WatchedDecision extends GatewayDecision {
  readonly times: number;
}

const SHOWN_DECISIONS = 12;
/** States change by themselves, when a pause is over. */
const LOOK_AGAIN_MS = 1000;

/** How the servers are, and how the last requests ended. */
@Injectable()
export class Watch implements OnModuleInit, BeforeApplicationShutdown {
  readonly #decisions: WatchedDecision[] = [];
  readonly #decided = new Subject<void>();
  readonly #stopped = new Subject<void>();

  constructor(
    private readonly gateway: McpGateway,
    private readonly states: GatewayUpstreams,
  ) {}

  onModuleInit(): void {
    this.gateway.onDecision((decision) => {
      if (isHandshake(decision)) return;
      this.#keep(decision);
      this.#decided.next();
    });
  }

  /** One agent that tries again and again must not push all others out. */
  #keep(decision: GatewayDecision): void {
    const [last] = this.#decisions;
    const isRepeated = last !== undefined && subjectOf(last) === subjectOf(decision);
    if (isRepeated) this.#decisions.shift();
    this.#decisions.unshift({ ...decision, times: isRepeated ? last.times + 1 : 1 });
    this.#decisions.splice(SHOWN_DECISIONS);
  }

  /** Streams of this page would keep the application from stopping. */
  beforeApplicationShutdown(): void {
    this.#stopped.next();
  }

  /** Whenever there may be something new. */
  get ticks(): Observable<unknown> {
    return merge(this.#decided, interval(LOOK_AGAIN_MS)).pipe(takeUntil(this.#stopped));
  }

  /** The newest first. */
  get decisions(): readonly WatchedDecision[] {
    return this.#decisions;
  }

  get upstreams(): readonly WatchedUpstream[] {
    return this.states
      .states()
      .map((state) => ({ ...state, tools: this.states.tools(state.name) }));
  }
}

/** Every client does it, and nobody wants to know of it while it works. */
function isHandshake({ method, outcome }: GatewayDecision): boolean {
  return outcome === 'answered' && HANDSHAKES.has(method);
}

const HANDSHAKES: ReadonlySet<string> = new Set(['initialize', 'server/discover', 'ping']);

function subjectOf({ caller, method, name, upstream, outcome, code }: GatewayDecision): string {
  return JSON.stringify([caller, method, name, upstream, outcome, code]);
}
