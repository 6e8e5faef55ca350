import { isJsonObject, member } from '../../core/lib/members.js';

/** The claim `act` (RFC 8693 §4.1): the outermost actor is the current one. */
export interface Actor {
  readonly sub: string;
  readonly actor_type?: 'agent' | 'service';
  readonly act?: Actor;
}

/** The actor that a claim names; only `sub`, `actor_type` and the inner `act` are carried over. */
export function actorOf(claim: unknown): Actor | undefined {
  if (!isJsonObject(claim)) return undefined;
  const sub = member(claim, 'sub');
  const type = member(claim, 'actor_type');
  const act = actorOf(member(claim, 'act'));
  return {
    sub: typeof sub === 'string' ? sub : '',
    ...((type === 'agent' || type === 'service') && { actor_type: type }),
    ...(act !== undefined && { act }),
  };
}

/** Root first, the current actor last: the order of `agent_chain`. */
export function actorChain(actor: Actor): readonly string[] {
  const inner = actor.act === undefined ? [] : actorChain(actor.act);
  return [...inner, actor.sub];
}
