import type { OperationKind } from '../../core/mcp/json-rpc.js';

/** What an MCP server lists. */
export type ListKind = 'tools' | 'prompts' | 'resources' | 'resourceTemplates';

/** How one kind is asked for and found in an answer. */
export interface ListShape {
  readonly kind: ListKind;
  readonly method: string;
  /** Which member of an entry names it. */
  readonly id: 'name' | 'uri' | 'uriTemplate';
  /** As scopes know it. */
  readonly operation: Exclude<OperationKind, 'method'>;
}

export const LISTS: Readonly<Record<ListKind, ListShape>> = {
  tools: { kind: 'tools', method: 'tools/list', id: 'name', operation: 'tool' },
  prompts: { kind: 'prompts', method: 'prompts/list', id: 'name', operation: 'prompt' },
  resources: { kind: 'resources', method: 'resources/list', id: 'uri', operation: 'resource' },
  resourceTemplates: {
    kind: 'resourceTemplates',
    method: 'resources/templates/list',
    id: 'uriTemplate',
    operation: 'resource',
  },
};

/** @returns `undefined` for a method that lists nothing. */
export function listShapeOf(method: string): ListShape | undefined {
  return Object.values(LISTS).find((shape) => shape.method === method);
}
