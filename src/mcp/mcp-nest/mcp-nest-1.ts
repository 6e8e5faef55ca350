import type { IncomingMessage } from 'node:http';
import type { Method } from '../../nest/marks/handler-marks.js';
import { isMcpOperation } from '../../nest/mcp/hosts/mcp-hosts.js';
import { replaceMethod, replaceMethods } from '../../nest/context/method-check.js';
import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import { runningResource } from '../../nest/http/request.js';
import { memberOf } from '../../core/lib/members.js';
import type { ConsentOptions } from '../answers/consent-flow.js';
import { failureAnswer, isOurs, jsonRpcError } from '../answers/failure-answer.js';
import { tellFailure } from '../answers/failure-event.js';
import { legacyCall, type McpCall } from '../answers/call.js';

/**
 * MCP-Nest 1 calls a method as it stands, without interceptors: `(arguments, context, request)`. So the
 * method itself answers its errors when it is called that way. Called by Nest it is what it was.
 */
export const answerDirectCalls: ClassDecorator & MethodDecorator = (
  target: object,
  _key?: string | symbol,
  descriptor?: PropertyDescriptor,
): void => {
  if (descriptor === undefined) replaceMethods(target, isMcpOperation, answering);
  else replaceMethod(descriptor, answering);
};

/** What is used of the context object of MCP-Nest 1. */
interface DirectContext {
  readonly mcpServer: { readonly server: { getClientCapabilities(): unknown } };
  readonly mcpRequest: unknown;
}

function answering(method: Method): Method {
  return function (this: unknown, ...args) {
    const call = directCall(args);
    return call === undefined
      ? Reflect.apply(method, this, args)
      : answered(async () => Reflect.apply(method, this, args), call);
  };
}

async function answered(operation: () => Promise<unknown>, call: McpCall): Promise<unknown> {
  try {
    return await operation();
  } catch (error) {
    const options = runningConsentOptions();
    if (!isOurs(error) || options === undefined) throw error;
    tellFailure(error, call, options);
    const answer = failureAnswer(error, call, options);
    if (answer.kind === 'result') return answer.result;
    throw jsonRpcError(answer, error);
  }
}

/** For a filter of MCP-Nest 1, which answers with a text and knows nothing of the call. */
export function directFailureText(error: AuthplaneError): string {
  const options = runningConsentOptions();
  const unknown = { method: 'tools/call', headers: {}, authInfo: undefined };
  const call = legacyCall({ ...unknown, sessionCapabilities: {} });
  const answer = options && failureAnswer(error, call, options);
  if (answer?.kind === 'error') return answer.message;
  return answer === undefined || !('isError' in answer.result)
    ? 'This operation failed.'
    : (answer.result.content[0]?.text ?? '');
}

/** Those of the application whose guard has let the running request pass. */
function runningConsentOptions(): ConsentOptions | undefined {
  return runningResource()?.consentPolicy;
}

function directCall([, context, request]: readonly unknown[]): McpCall | undefined {
  if (!isDirectContext(context)) return undefined;
  const method = memberOf(context.mcpRequest, 'method');
  const raw = nodeRequest(request);
  return legacyCall({
    method: typeof method === 'string' ? method : '',
    headers: raw?.headers,
    authInfo: raw?.auth,
    sessionCapabilities: context.mcpServer.server.getClientCapabilities(),
  });
}

/** MCP-Nest 2 has a context class of its own, whose members are found by position. */
function isDirectContext(context: unknown): context is DirectContext {
  if (typeof context !== 'object' || context === null || 'getArgByIndex' in context) return false;
  return 'mcpServer' in context && 'mcpRequest' in context && 'reportProgress' in context;
}

/** Resources get an adapter around the request, tools and prompts the request. */
function nodeRequest(
  request: unknown,
): Partial<IncomingMessage & { readonly auth: unknown }> | undefined {
  if (typeof request !== 'object' || request === null) return undefined;
  const inner: unknown = 'raw' in request ? request.raw : undefined;
  return typeof inner === 'object' && inner !== null && 'auth' in inner ? inner : request;
}
