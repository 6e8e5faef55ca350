import { describe, expect, test } from 'vitest';
import {
  Controller,
  type DynamicModule,
  Get,
  Module,
  Post,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { Scopes } from 'authplane-nestjs';
import { bootHarness } from '../../../support/nest/boot.js';
import { call, request } from '../../../support/nest/mcp-app.js';

// What mcp-nestjs 1.0.6 leaves on methods and in the application; with the package itself it is run in
// test/package/matrix/foreign-hosts.spec.ts.

const Tool = (marks: object = {}) => SetMetadata('mcp:tool', marks);
const Prompt = (marks: object) => SetMetadata('mcp:prompt', marks);
const Resource = (marks: object) => SetMetadata('mcp:resource', marks);
const Group = (group: string | true) => SetMetadata('mcp:tool-group', group);

class ToolRegistryService {
  readonly tools = new Map<string, object>();
  readonly prompts = new Map<string, object>();
  readonly resources = new Map<string, object>();
}

@Controller('mcp-playground')
class PlaygroundController {
  @Post('api/tools/call')
  call() {
    return 'called';
  }
}

@Controller()
class SseController {
  @Get('sse')
  sse() {
    return 'streams';
  }
}

@Module({})
class McpModule {}

interface Served {
  readonly tools?: string[];
  readonly prompts?: string[];
  readonly resources?: string[];
  readonly controllers?: Type[];
}

function mcpNestjs({
  tools = [],
  prompts = [],
  resources = [],
  controllers = [],
}: Served = {}): DynamicModule {
  const registry = new ToolRegistryService();
  for (const name of tools) registry.tools.set(name, {});
  for (const uri of resources) registry.resources.set(uri, {});
  for (const name of prompts) registry.prompts.set(name, {});
  return {
    module: McpModule,
    controllers,
    providers: [
      { provide: 'MCP_MODULE_OPTIONS', useValue: {} },
      { provide: 'MCP_INIT', useValue: true },
      { provide: ToolRegistryService, useValue: registry },
    ],
  };
}

@Group('files')
class Files {
  @Tool()
  @Scopes('known')
  remove() {
    return 'removed';
  }

  @Tool({ name: 'named' })
  @Scopes('known')
  other() {
    return 'named';
  }

  @Prompt({ name: 'plan' })
  @Scopes('known')
  planned() {
    return 'planned';
  }

  @Resource({ uri: 'notes://one', uriTemplate: 'notes://{id}/text', name: 'r' })
  @Scopes('known')
  read() {
    return 'read';
  }

  @Resource({ name: 'by-name' })
  @Scopes('known')
  unlocated() {
    return 'read';
  }

  @Resource({ uriTemplate: 'https://a.example/{id}' })
  @Scopes('known')
  dotted() {
    return 'read';
  }
}

@Controller('api/v1/features/')
@Group(true)
class Features {
  @Get()
  @Tool()
  @Scopes('known')
  list() {
    return 'listed';
  }
}

const EXPRESSION = 'notes://list?id={id}';
const served = {
  tools: ['files_remove', 'named', 'features_list'],
  prompts: ['plan'],
  resources: ['notes://one', 'by-name', 'https://a.example/{id}', EXPRESSION],
};
const { start, refusal, allowed, warnings } = bootHarness();
const global = { guard: 'global' } as const;
const withHost = (host: Served, ...providers: Type[]) => ({
  options: global,
  metadata: { imports: [mcpNestjs(host)], providers },
});

describe('12.7: mcp-nestjs', () => {
  test.each([
    ['a tool of a group', call('files_remove')],
    ['a tool with a name', call('named')],
    ['a tool of a group by its path', call('features_list')],
    ['a prompt', request('prompts/get', { name: 'plan' })],
    ['a resource', request('resources/read', { uri: 'notes://one' })],
    ['its template', request('resources/read', { uri: 'notes://7/text' })],
    ['a resource by its name alone', request('resources/read', { uri: 'by-name' })],
    ['a dot, which is any character', request('resources/read', { uri: 'https://aXexample/7' })],
  ])('%s needs its scopes by the name that clients use', async (_, body) => {
    const base = withHost(served, Files);
    const metadata = { ...base.metadata, controllers: [Features] };
    const server = await start({ ...base, metadata });
    const { status, json } = await server.post(body);
    expect([status, json]).toMatchObject([403, { scope: 'known' }]);
    expect((await server.post(call('remove'))).status).toBe(200); // no such tool
    expect(warnings()).toEqual([]);
  });

  test('its controllers are endpoints, and want the global guard', async () => {
    const base = withHost({ ...served, controllers: [SseController] }, Files);
    expect(await refusal({ ...base, options: {} })).toContain(
      "SseController.sse is an MCP endpoint that no AuthplaneGuard protects: anybody may call it. Set guard: 'global'",
    );
    expect(await refusal(base)).toBe('');
  });

  test('what it does not serve is named', async () => {
    expect(await refusal(withHost({ ...served, tools: ['named'] }, Files))).toContain(
      'no server of mcp-nestjs has the tool "files_remove" of Files.remove: leave discovery: false out',
    );
    expect(await refusal(withHost({ ...served, resources: ['by-name'] }, Files))).toContain(
      'has the resource "notes://{id}/text" of Files.read',
    );
  });

  test('a template that is an expression is refused, if it needs something', async () => {
    class Expression {
      @Resource({ uriTemplate: EXPRESSION })
      @Scopes('known')
      list() {
        return 'listed';
      }
    }
    class Open {
      @Resource({ uriTemplate: EXPRESSION })
      list() {
        return 'listed';
      }
    }
    expect(await refusal(withHost(served, Expression))).toMatch(
      /reads the template "\S+" of Expression\.list as a regular expression/,
    );
    expect(await refusal(withHost(served, Open))).toBe('');
  });

  test('of two tools of one name it runs one', async () => {
    class Again {
      @Tool({ name: 'named' })
      again() {
        return 'again';
      }
    }
    expect(await refusal(withHost(served, Files, Again))).toContain(
      'the tool "named" is declared by Files.other and Again.again, and the server runs one of them',
    );
  });

  test('the playground asks nobody for what only messages show', async () => {
    const host = { ...served, controllers: [PlaygroundController] };
    const base = withHost(host, Files);
    expect(await refusal(base)).toBe('');
    for (const mcp of [{ tools: { plain: ['known'] } }, { list: 'hide' as const }]) {
      expect(await refusal({ ...base, mcp })).toContain(
        'PlaygroundController runs tools for bodies that are no JSON-RPC',
      );
    }
    expect(
      await refusal({ ...withHost(served, Files), mcp: { tools: { named: ['known'] } } }),
    ).toBe('');
  });

  test('beside another library of the same keys nobody knows who runs a method', async () => {
    @Module({ providers: [{ provide: 'MCP_MODULE_ID', useValue: 'id' }] })
    class OtherModule {}
    const base = withHost(served, Files);
    const metadata = { ...base.metadata, imports: [...base.metadata.imports, OtherModule] };
    expect(await refusal({ ...base, metadata })).toContain(
      '@Scopes on Files.remove: no MCP host that is known here runs this method',
    );
  });

  test('a module of that name alone is not the library', async () => {
    const imports = [{ module: McpModule, providers: [{ provide: 'MCP_INIT', useValue: 1 }] }];
    const unknown = { options: global, metadata: { imports, providers: [Files] } };
    expect(await allowed(unknown).catch(String)).toContain('no MCP host that is known here');
  });
});
