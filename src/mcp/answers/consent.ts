import { isObject, memberOf } from '../../core/lib/members.js';
import { printable } from '../../core/lib/text.js';
import { randomUUID } from 'node:crypto';
import {
  asksForAuthorization,
  consentPage,
  type ConsentPolicy,
} from '../../core/calls/consent-url.js';
import { sha256 } from '../../core/lib/digest.js';
import { ConsentRequiredError } from '../../core/errors/oauth-errors.js';

/**
 * How a request wants to be answered. `2025-11-25` stands for it and all older revisions, which know
 * `initialize` and sessions; `2026-07-28` for the stateless ones.
 */
export type ProtocolEra = '2025-11-25' | '2026-07-28';

/** Options of {@link toElicitation}. */
export interface ElicitationOptions extends ConsentPolicy {
  /** Which shape the request expects; see {@link protocolEra}. */
  readonly era: ProtocolEra;
  /**
   * Whether the client has declared URL elicitation. `undefined`: not known, which a request without
   * a session of the older era cannot avoid; it is then taken for able, and the message of the error
   * names the page, too, for a client that only shows messages.
   */
  readonly urlElicitation: boolean | undefined;
  /** See {@link stableElicitationId}. Default: a new one. */
  readonly elicitationId?: string | undefined;
}

/** One entry of `error.data.elicitations` (2025-11-25). */
export interface UrlElicitation {
  /** The user is sent to a page. */
  readonly mode: 'url';
  /** The same for the same question; see {@link stableElicitationId}. */
  readonly elicitationId: string;
  /** The page, which the consent policy has allowed. */
  readonly url: string;
  /** What the user is asked. */
  readonly message: string;
}

/** A result that asks for input and a second try (2026-07-28). */
export interface InputRequiredResult {
  /** Tells it from a complete result. */
  readonly resultType: 'input_required';
  /** What is asked, by {@link consentKey}. */
  readonly inputRequests: Readonly<
    Record<
      string,
      {
        readonly method: 'elicitation/create';
        readonly params: { readonly mode: 'url'; readonly url: string; readonly message: string };
      }
    >
  >;
}

/** A tool result that says in words what went wrong. */
export interface ToolErrorResult {
  /** One text. */
  readonly content: readonly { readonly type: 'text'; readonly text: string }[];
  /** The tool has failed. */
  readonly isError: true;
}

/** What to answer: a JSON-RPC error, or a result. */
export type ConsentAnswer =
  | {
      /** A JSON-RPC error of 2025-11-25. */
      readonly kind: 'error';
      /** -32042. */
      readonly code: typeof URL_ELICITATION_REQUIRED;
      /** For clients that show messages. */
      readonly message: string;
      /** `error.data`: the pages to open. */
      readonly data: { readonly elicitations: readonly UrlElicitation[] };
    }
  | {
      /** A result, which clients of any era read. */
      readonly kind: 'result';
      /** A question (2026-07-28), or what went wrong in words. */
      readonly result: InputRequiredResult | ToolErrorResult;
    };

/** JSON-RPC code of 2025-11-25. A server of 2026-07-28 must not send it. */
export const URL_ELICITATION_REQUIRED = -32042;

const PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion';
const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const KEY_PREFIX = 'authplane-consent-';
const MAX_SERVICE_LENGTH = 200;

/**
 * The answer to a call whose token exchange needs the user's consent, in the shape of the protocol
 * era: error -32042 (2025-11-25), an `input_required` result (2026-07-28), or a text in words for a
 * client that cannot open URLs and for a page that must not be shown; see {@link consentPage}.
 */
export function toElicitation(
  error: ConsentRequiredError,
  options: ElicitationOptions,
): ConsentAnswer {
  const message = consentMessage(error);
  const page = consentPage(error.consentUrl, options);
  if (page === undefined) return inWords(`${message} ${withoutPage(error, options)}`);
  const withPage = `${message} Open ${page} in a browser, give it there, then call this again.`;
  if (!canOpenUrls(options)) return inWords(withPage);
  if (options.era === '2026-07-28') return inputRequired(error, page, message);
  const elicitationId = options.elicitationId ?? randomUUID();
  const elicitation = { mode: 'url', elicitationId, url: page, message } as const;
  return {
    kind: 'error',
    code: URL_ELICITATION_REQUIRED,
    message: options.urlElicitation === undefined ? withPage : message,
    data: { elicitations: [elicitation] },
  };
}

/** By class, or by name for an error of another copy of this package. */
export function isConsentRequired(error: unknown): error is ConsentRequiredError {
  if (error instanceof ConsentRequiredError) return true;
  return error instanceof Error && error.name === 'ConsentRequiredError' && 'serviceId' in error;
}

/** Era of a JSON-RPC request, from its `params`: only 2026-07-28 says its version in every request. */
export function protocolEra(params: unknown): ProtocolEra {
  const version = memberOf(memberOf(params, '_meta'), PROTOCOL_VERSION);
  return version === undefined ? '2025-11-25' : '2026-07-28';
}

/** Whether the `params` of a 2026-07-28 request declare URL elicitation. */
export function requestsUrlElicitation(params: unknown): boolean {
  return hasUrlElicitation(memberOf(memberOf(params, '_meta'), CLIENT_CAPABILITIES));
}

/** Whether client capabilities declare URL elicitation; `elicitation: {}` means forms only. */
export function hasUrlElicitation(capabilities: unknown): boolean {
  return isObject(memberOf(memberOf(capabilities, 'elicitation'), 'url'));
}

/** Key of the input request for a service: the same in every round, so an answer finds its question. */
export function consentKey(serviceId: string): string {
  return `${KEY_PREFIX}${digest(serviceId)}`;
}

/**
 * The same for the same subject, client and service, so that a client can tell a repeated request
 * from a new one. Names none of them.
 */
export function stableElicitationId(of: {
  /** The authorization server. */
  readonly issuer: string;
  /** `sub` of the caller. */
  readonly subject: string;
  /** `client_id` of the caller. */
  readonly clientId: string;
  /** The service the consent is for. */
  readonly serviceId: string;
}): string {
  return digest(JSON.stringify([of.issuer, of.subject, of.clientId, of.serviceId]));
}

/** What the user answered to our input requests of the round before. */
export interface ConsentResponses {
  /** Keys that the user agreed to open; that alone is not consent yet. */
  readonly accepted: ReadonlySet<string>;
  /** How the user refused, if at all; one refusal outweighs what was agreed to. */
  readonly refusal: 'decline' | 'cancel' | undefined;
}

/** Reads `inputResponses` of a 2026-07-28 retry; keys of others are left alone. */
export function consentResponses(inputResponses: unknown): ConsentResponses {
  const accepted = new Set<string>();
  let refusal: ConsentResponses['refusal'];
  for (const [key, response] of Object.entries(isObject(inputResponses) ? inputResponses : {})) {
    if (!key.startsWith(KEY_PREFIX)) continue;
    const action = memberOf(response, 'action');
    if (action === 'accept') accepted.add(key);
    else if (action === 'decline' || action === 'cancel') refusal = action;
  }
  return { accepted, refusal };
}

function inputRequired(error: ConsentRequiredError, url: string, message: string): ConsentAnswer {
  const params = { mode: 'url', url, message } as const;
  const inputRequests = {
    [consentKey(error.serviceId)]: { method: 'elicitation/create', params } as const,
  };
  return { kind: 'result', result: { resultType: 'input_required', inputRequests } };
}

function inWords(text: string): ConsentAnswer {
  return { kind: 'result', result: errorResult(text) };
}

export function errorResult(text: string): ToolErrorResult {
  return { content: [{ type: 'text', text }], isError: true };
}

/** A modern request declares what its client can do; what it does not say must not be sent. */
function canOpenUrls({ era, urlElicitation }: ElicitationOptions): boolean {
  return urlElicitation ?? era === '2025-11-25';
}

function withoutPage({ consentUrl }: ConsentRequiredError, policy: ConsentPolicy): string {
  return consentUrl !== undefined && asksForAuthorization(consentUrl, policy)
    ? 'Sign in to this server again so that you are asked for it, then call this again.'
    : `Give it in your account at ${policy.issuer}, then call this again.`;
}

function consentMessage({ serviceId, causeDetail }: ConsentRequiredError): string {
  const service =
    serviceId === 'unknown_service'
      ? 'the service behind this operation'
      : printable(serviceId, MAX_SERVICE_LENGTH);
  return causeDetail === 'scope_insufficient'
    ? `Access to ${service} needs more consent than you have given.`
    : `Access to ${service} needs your consent.`;
}

function digest(text: string): string {
  return sha256(text).slice(0, 22); // 132 bits
}
