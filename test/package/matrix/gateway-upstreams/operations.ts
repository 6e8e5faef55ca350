import type { AnyClient } from './clients.js';

/** One use of a server. Those of one server are made in order, from the same beginning. */
export type Operation =
  | readonly ['tool', name: string, args: object]
  | readonly ['prompt', name: string, args: object]
  | readonly ['resource', uri: string]
  | readonly [
      'completion',
      ref: object,
      argument: { readonly name: string; readonly value: string },
    ];

export type Server = keyof ReturnType<typeof operationsWith>;

/** What server-everything says of itself. */
const DOCUMENTS = [
  'architecture',
  'extension',
  'features',
  'how-it-works',
  'instructions',
  'startup',
  'structure',
];

/** @param files the folder that the file system server shows. */
export function operationsWith(files: string) {
  const at = (name: string) => ({ path: `${files}/${name}` });
  const likes = { from: 'Ann', to: 'Bob', relationType: 'likes' };
  const entity = (name: string) => ({ name, entityType: 'person', observations: ['tall'] });
  return {
    everything: [
      ['tool', 'echo', { message: 'hello' }],
      ['tool', 'echo', { message: 1 }],
      ['tool', 'get-annotated-message', { messageType: 'success', includeImage: true }],
      ['tool', 'get-env', {}],
      ['tool', 'get-resource-links', { count: 2 }],
      ['tool', 'get-resource-reference', { resourceType: 'Text', resourceId: 1 }],
      ['tool', 'get-roots-list', {}],
      ['tool', 'get-structured-content', { location: 'Chicago' }],
      ['tool', 'get-sum', { a: 1, b: 2 }],
      ['tool', 'get-tiny-image', {}],
      [
        'tool',
        'gzip-file-as-resource',
        { name: 'x.gz', data: 'data:text/plain,hello', outputType: 'resource' },
      ],
      ['tool', 'simulate-research-query', { topic: 'tea', ambiguous: false }],
      ['tool', 'toggle-simulated-logging', {}],
      ['tool', 'toggle-simulated-logging', {}],
      ['tool', 'toggle-subscriber-updates', {}],
      ['tool', 'toggle-subscriber-updates', {}],
      ['tool', 'trigger-elicitation-request', {}],
      ['tool', 'trigger-url-elicitation', { url: 'https://example.com/', elicitationId: 'one' }],
      ['tool', 'trigger-long-running-operation', { duration: 0.2, steps: 2 }],
      ['tool', 'trigger-sampling-request', { prompt: 'hello', maxTokens: 10 }],
      ['prompt', 'simple-prompt', {}],
      ['prompt', 'args-prompt', { city: 'Paris', state: 'Texas' }],
      ['prompt', 'completable-prompt', { department: 'Engineering', name: 'Alice' }],
      ['prompt', 'resource-prompt', { resourceType: 'Text', resourceId: '1' }],
      [
        'completion',
        { type: 'ref/prompt', name: 'completable-prompt' },
        { name: 'department', value: 'E' },
      ],
      [
        'completion',
        { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' },
        { name: 'resourceId', value: '1' },
      ],
      [
        'completion',
        { type: 'ref/resource', uri: 'demo://resource/dynamic/blob/{resourceId}' },
        { name: 'resourceId', value: '2' },
      ],
      ['resource', 'demo://resource/dynamic/text/1'],
      ['resource', 'demo://resource/dynamic/blob/2'],
      ...DOCUMENTS.map(
        (name) => ['resource', `demo://resource/static/document/${name}.md`] as const,
      ),
    ],
    filesystem: [
      ['tool', 'list_allowed_directories', {}],
      ['tool', 'read_file', at('a.txt')],
      ['tool', 'read_text_file', { ...at('a.txt'), head: 1 }],
      ['tool', 'read_media_file', at('p.png')],
      ['tool', 'read_multiple_files', { paths: [at('a.txt').path, at('none').path] }],
      ['tool', 'write_file', { ...at('b.txt'), content: 'four' }],
      ['tool', 'edit_file', { ...at('b.txt'), edits: [{ oldText: 'four', newText: 'five' }] }],
      ['tool', 'create_directory', at('sub/new')],
      ['tool', 'list_directory', at('.')],
      ['tool', 'list_directory_with_sizes', at('.')],
      ['tool', 'directory_tree', at('.')],
      ['tool', 'move_file', { source: at('b.txt').path, destination: at('c.txt').path }],
      ['tool', 'search_files', { ...at('.'), pattern: '**/*.txt' }],
      ['tool', 'get_file_info', at('a.txt')],
      ['tool', 'read_file', { path: '/etc/hostname' }],
    ],
    memory: [
      ['tool', 'create_entities', { entities: [entity('Ann'), entity('Bob')] }],
      ['tool', 'create_relations', { relations: [likes] }],
      ['tool', 'add_observations', { observations: [{ entityName: 'Ann', contents: ['old'] }] }],
      ['tool', 'read_graph', {}],
      ['tool', 'search_nodes', { query: 'old' }],
      ['tool', 'open_nodes', { names: ['Bob'] }],
      [
        'tool',
        'delete_observations',
        { deletions: [{ entityName: 'Ann', observations: ['old'] }] },
      ],
      ['tool', 'delete_relations', { relations: [likes] }],
      ['tool', 'delete_entities', { entityNames: ['Ann'] }],
      ['tool', 'add_observations', { observations: [{ entityName: 'Ann', contents: ['new'] }] }],
      ['resource', 'memory://knowledge-graph'],
    ],
    fast: [
      ['tool', 'add', { a: 1, b: 2 }],
      ['tool', 'steps', {}],
      ['tool', 'picture', {}],
      ['tool', 'refuse', {}],
      ['prompt', 'commit', { changes: 'this' }],
      ['completion', { type: 'ref/prompt', name: 'commit' }, { name: 'changes', value: '' }],
      ['resource', 'fast://readme'],
      ['resource', 'fast://logs/app'],
      [
        'completion',
        { type: 'ref/resource', uri: 'fast://logs/{name}' },
        { name: 'name', value: '' },
      ],
    ],
    calendar: [
      ['tool', 'list_events', { day: 'fri' }],
      ['tool', 'create_event', {}],
      ['tool', 'debug_dump', {}],
      ['tool', 'slow', {}],
      ['tool', 'invite', {}],
      ['tool', 'fails', {}],
      ['prompt', 'briefing', {}],
      ['resource', 'calendar://today'],
      ['resource', 'calendar://days/fri'],
      [
        'completion',
        { type: 'ref/resource', uri: 'calendar://days/{day}' },
        { name: 'day', value: '' },
      ],
    ],
  } as const satisfies Readonly<Record<string, readonly Operation[]>>;
}

/** What comes of it, without what differs from call to call. */
export async function outcomeOf(
  client: AnyClient,
  operation: Operation,
  prefix: string,
): Promise<unknown> {
  try {
    return settled(await use(client, operation, prefix));
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    return { code, message: message?.replace(/^MCP error -?\d+: /, '').replaceAll(prefix, '') };
  }
}

function use(client: AnyClient, operation: Operation, prefix: string): Promise<unknown> {
  switch (operation[0]) {
    case 'tool':
      return client.callTool(prefix + operation[1], operation[2]);
    case 'prompt':
      return client.getPrompt({ name: prefix + operation[1], arguments: operation[2] });
    case 'resource':
      return client.readResource({ uri: operation[1] });
    case 'completion': {
      const [, ref, argument] = operation;
      const own = 'name' in ref ? { ...ref, name: prefix + String(ref.name) } : ref;
      return client.complete({ ref: own, argument });
    }
  }
}

const RESERVED = /^(?:resultType|ttlMs|cacheScope)$|^io\.modelcontextprotocol\//;

/** Times and ids are new each time; what belongs to one revision is left out. */
function settled(value: unknown): unknown {
  const text = JSON.stringify(value, (name: string, one: unknown) =>
    RESERVED.test(name) || (name === '_meta' && isEmpty(one)) ? undefined : one,
  );
  return JSON.parse(
    text
      .replaceAll(/\d{1,2}:\d{2}:\d{2} [AP]M/g, 'TIME')
      .replaceAll(/(accessed|created|modified): [A-Z][^\\"]+/g, '$1: TIME')
      .replaceAll(/UmVzb3VyY2Ug[A-Za-z0-9+/=]+/g, 'TIME') // the same in base64
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID'),
  );
}

function isEmpty(value: unknown): boolean {
  return Object.keys(Object(value)).every((name) => RESERVED.test(name));
}
