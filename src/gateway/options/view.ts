import { CallbackError } from '../../core/errors/request-errors.js';
import type { GatewayCaller } from './gateway-caller.js';

/** What a list is of. */
export type ViewedKind = 'tools' | 'prompts' | 'resources' | 'resourceTemplates';

/** Whether something is shown, by its exposed name, its URI, or the text of a template: only `true` is yes. */
export type ShownOperation = (exposedName: string, kind: ViewedKind) => boolean;

/** Who looks, and at which URL. */
export interface GatewayViewRequest {
  /** Whose request it is. */
  readonly caller: GatewayCaller;
  /** The resource that it was sent to: its URI, and what stands for the parameters of `mcpPath`. */
  readonly resource: { readonly uri: string; readonly params: Readonly<Record<string, string>> };
}

/**
 * What of all upstreams is there for a request, so that one gateway has a URL for each set of tools. Asked once for each request;
 * `undefined`: everything. What is not shown is in no list, and cannot be called.
 */
export type GatewayView = (request: GatewayViewRequest) => ShownOperation | undefined;

/**
 * What a view says, which may be anything.
 *
 * @throws CallbackError when it fails, now or later, or gives neither a function nor `undefined`: what it hides must
 * not be shown instead.
 */
export function askView(
  view: GatewayView,
  request: GatewayViewRequest,
): ShownOperation | undefined {
  const isShown: unknown = asked(() => view(request));
  if (isShown === undefined) return undefined;
  if (typeof isShown !== 'function') {
    throw new CallbackError('gateway: view gave neither a function nor undefined');
  }
  return (...operation) => asked(() => (isShown as ShownOperation)(...operation)) === true;
}

function asked(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (cause) {
    throw new CallbackError('gateway: view has failed', { cause });
  }
}
