import { describe, expect, it } from 'vitest';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { Events } from '../../../src/core/events.js';
import { SessionNotFoundError } from '../../../src/core/errors/request-errors.js';
import {
  InsufficientScopeError,
  TokenMissingError,
} from '../../../src/core/errors/token-errors.js';
import { exactScopes, NO_SCOPES, requireScopeNeeds } from '../../../src/core/lib/scopes.js';
import { operationsOf } from '../../../src/core/mcp/json-rpc.js';
import { AnonymousCaller } from '../../../src/core/token/caller.js';
import type { HttpExchange } from '../../../src/nest/http/exchange.js';
import type { FrameworkRequest } from '../../../src/nest/http/request.js';
import { McpHiding } from '../../../src/nest/mcp/answers/hiding.js';
import { OperationTable } from '../../../src/nest/mcp/declared-operations.js';
import { EndpointAnswers } from '../../../src/nest/mcp/endpoint-answers.js';
import {
  MaybeStreamInspection,
  MessageInspection,
  type MessageRules,
} from '../../../src/nest/mcp/message-inspection.js';
import { OperationJudge } from '../../../src/nest/mcp/operation-judge.js';
import { McpState } from '../../../src/nest/mcp/state/server-state.js';
import { callerOf } from '../../support/tokens/callers.js';

const OPTIONS = { tools: { write: ['tools/write'] } };
const HANDLER = { all: ['base'], anyOf: [] };

function messageRules(more: Partial<MessageRules> = {}): MessageRules {
  const [events, state, hiding] = [new Events(), new McpState(), new McpHiding()];
  const table = new OperationTable(OPTIONS, events);
  const judge = new OperationJudge(OPTIONS, table, state, hiding, events);
  return {
    table,
    judge,
    answers: new EndpointAnswers(OPTIONS, table, state, hiding, judge, events),
    resource: {
      requireScopes: ({ scopes }, needs) => requireScopeNeeds(scopes, needs, exactScopes),
    },
    requireOwnSession: () => undefined,
    ...more,
  };
}

function exchange(): HttpExchange {
  const request = new IncomingMessage(new Socket());
  return { request: request as FrameworkRequest, reply: new ServerResponse(request) };
}

function inspection(name: string, rules = messageRules(), isOpen = true): MessageInspection {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } };
  const nothing = { tasks: [], lists: [], wantsTasks: false, mayMakeTask: false };
  return new MessageInspection(
    rules,
    { ...nothing, operations: operationsOf(body), isOpen },
    HANDLER,
    true,
  );
}

const anybody = new AnonymousCaller('https://mcp.example.com/mcp');

describe('a request whose messages are known and whose caller is not', () => {
  it('needs what the handler and the operation need, and announces what is not secret', () => {
    const asked = inspection('write');
    expect(asked.announcedNeeds.all).toEqual(['tools/write']);
    expect(asked.operations).toMatchObject([{ method: 'tools/call', name: 'write' }]);
    expect(() => asked.judge(exchange(), callerOf(['tools/write']))).toThrow(
      InsufficientScopeError,
    );
    expect(asked.judge(exchange(), callerOf(['base', 'tools/write']))).toBeUndefined();
    expect(asked.rules).toEqual([]);
  });

  it('the session is asked about before anything else', () => {
    const refusing = messageRules({
      requireOwnSession: () => {
        throw new SessionNotFoundError('of somebody else');
      },
    });
    expect(() => inspection('write', refusing).judge(exchange(), callerOf([]))).toThrow(
      SessionNotFoundError,
    );
  });

  it.each([
    ['an operation that needs a scope', inspection('write')],
    ['a message that needs a caller', inspection('open', messageRules(), false)],
  ])('nobody is told to come with a token: %s', (_, asked) => {
    expect(() => asked.judge(exchange(), anybody)).toThrow(TokenMissingError);
  });

  it('what the server has taught since counts when it is judged again', () => {
    const rules = messageRules();
    const asked = inspection('late', rules);
    const caller = callerOf(['base']);
    expect(asked.judge(exchange(), caller)).toBeUndefined();
    rules.table.learn({ kind: 'tool', name: 'late', requirement: ['more'] });
    expect(() => asked.admitAgain(exchange(), caller)).toThrow(InsufficientScopeError);
  });
});

describe('a GET that may be a stream', () => {
  it('needs what the handler needs, whenever it is judged', () => {
    const asked = new MaybeStreamInspection(messageRules(), HANDLER);
    expect(() => asked.judge(exchange(), callerOf([]))).toThrow(InsufficientScopeError);
    expect(() => asked.admitAgain(exchange(), callerOf([]))).toThrow(InsufficientScopeError);
    expect(asked.judge(exchange(), callerOf(['base']))).toBeUndefined();
    expect(asked.announcedNeeds).toBe(NO_SCOPES);
  });
});
