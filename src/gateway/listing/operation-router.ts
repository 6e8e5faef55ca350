import type { Eventually } from '../../core/lib/deadline.js';
import { isJsonObject, memberOf } from '../../core/lib/members.js';
import { RpcError, UnknownOperationError } from '../wire/gateway-errors.js';
import { INVALID_PARAMS } from '../wire/json-rpc-answer.js';
import type { ListReader } from './catalogue.js';
import type { ListKind } from './list-kinds.js';
import type { Route, RoutingTable } from './routing-table.js';

type Params = Readonly<Record<string, unknown>>;

/** Where an operation goes, in the upstream's own words. */
export interface RoutedOperation {
  readonly route: Route;
  readonly params: Params;
  /** What `Mcp-Name` says, for methods that name something. */
  readonly name: string | undefined;
}

/** Where in `params` a name stands, and how it is found. */
interface Place {
  readonly what: 'tool' | 'prompt' | 'resource';
  readonly kind: ListKind;
  readonly holder: unknown;
  readonly member: 'name' | 'uri';
  find(name: string): Promise<Route | undefined>;
}

/** Where methods about tasks go; `undefined` for any other method. */
export interface TaskRoutes {
  route(method: string, params: Params, callerKey: string): RoutedOperation | undefined;
}

/** Finds the upstream of an operation, and asks the guard once more what lists have taught since. */
export class OperationRouter {
  readonly #routes: RoutingTable;
  readonly #tasks: TaskRoutes;

  constructor(routes: RoutingTable, tasks: TaskRoutes) {
    this.#routes = routes;
    this.#tasks = tasks;
  }

  /**
   * @param judgeAgain may put another name into the very `params`.
   * @returns `undefined` for a method that is no operation.
   * @throws UnknownOperationError, RpcError, why a list could not be read, and what the guard throws
   */
  async route(
    method: string,
    params: Params,
    reader: ListReader,
    judgeAgain: () => Eventually<void>,
  ): Promise<RoutedOperation | undefined> {
    const task = this.#tasks.route(method, params, reader.callerKey);
    if (task !== undefined) {
      await judgeAgain();
      return task;
    }
    const place = this.#placeIn(method, params, reader);
    if (place === undefined) return undefined;
    const { what, kind, holder, member } = place;
    const name = textIn(holder, member);
    const isShown = reader.isShown?.(name, kind) ?? true;
    const route = isShown ? await place.find(name) : undefined;
    if (route?.upstream.isLocal === false) reader.onRoute?.(route.upstream.name);
    await judgeAgain();
    const judged = textIn(holder, member);
    if (route === undefined || judged !== name) {
      throw new UnknownOperationError(`Unknown ${what}: ${judged}`);
    }
    const { own } = route.item;
    const renamed = { ...objectOf(holder), [member]: own };
    return holder === params
      ? { route, params: renamed, name: own }
      : { route, params: { ...params, ref: renamed }, name: undefined };
  }

  #placeIn(method: string, params: Params, reader: ListReader): Place | undefined {
    const routes = this.#routes;
    switch (method) {
      case 'tools/call': {
        const find = (name: string) => routes.named('tools', name, reader);
        return { what: 'tool', kind: 'tools', holder: params, member: 'name', find };
      }
      case 'prompts/get': {
        const find = (name: string) => routes.named('prompts', name, reader);
        return { what: 'prompt', kind: 'prompts', holder: params, member: 'name', find };
      }
      case 'resources/read': {
        const find = (uri: string) => routes.resource(uri, reader);
        return { what: 'resource', kind: 'resources', holder: params, member: 'uri', find };
      }
      case 'completion/complete':
        return this.#completed(params['ref'], reader);
      default:
        return undefined;
    }
  }

  #completed(ref: unknown, reader: ListReader): Place {
    if (memberOf(ref, 'type') === 'ref/prompt') {
      const find = (name: string) => this.#routes.named('prompts', name, reader);
      return { what: 'prompt', kind: 'prompts', holder: ref, member: 'name', find };
    }
    const find = (text: string) => this.#routes.template(text, reader);
    return { what: 'resource', kind: 'resourceTemplates', holder: ref, member: 'uri', find };
  }
}

function objectOf(value: unknown): Params {
  return isJsonObject(value) ? value : {};
}

function textIn(holder: unknown, member: string): string {
  const text = memberOf(holder, member);
  if (typeof text === 'string') return text;
  const message = `Invalid params: ${member} must be a string`;
  throw new RpcError(200, { code: INVALID_PARAMS, message });
}
