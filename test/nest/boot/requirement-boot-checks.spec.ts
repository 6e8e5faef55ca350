import { describe, expect, test } from 'vitest';
import { Controller, Get, Injectable, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneModule, Scopes, UseResource } from 'authplane-nestjs';
import { bootHarness } from '../../support/nest/boot.js';
import { request } from '../../support/nest/mcp-app.js';
import { boundController, Prompt, Template, Tool } from '../../support/nest/mcp-nest-decorators.js';

const { start, refusal, allowed, warnings } = bootHarness();

const controller = boundController('mcp', UseGuards(AuthplaneGuard));

@Controller()
class Tools {
  @Tool('named')
  @Scopes('known')
  named() {
    return 1;
  }

  @Prompt('greet')
  @Scopes('greet:them')
  greet() {
    return 1;
  }

  @Template('notes://{id}')
  note() {
    return 1;
  }
}
const metadata = { controllers: [Tools] };

test('scopes that are required and not advertised', async () => {
  await start({ controller, metadata, mcp: { tools: { named: { any: ['known', 'any:one'] } } } });
  expect(warnings().join()).toContain('/mcp: greet:them any:one. Clients learn');
});

test('a scope that only another resource advertises', async () => {
  const resource = 'http://127.0.0.1:1/admin/mcp';
  @Controller('admin')
  @UseGuards(AuthplaneGuard)
  @UseResource('admin')
  @Scopes('of:class')
  class AdminController {
    @Get()
    get() {
      return 1;
    }
  }
  const imports = [AuthplaneModule.forFeature({ name: 'admin', resource, scopes: ['known'] })];
  await start({ metadata: { imports, controllers: [AdminController] } });
  expect(warnings().join()).toContain(`not in the option scopes of ${resource}: of:class.`);
});

test('requirements that are written twice', async () => {
  await start({ controller, metadata, mcp: { tools: { named: ['known'] } } });
  expect(warnings().join()).toContain('mcp: tool "named" also has scopes at Tools.named');
});

describe('9.8: a name in the options that no server has', () => {
  const mcp = { tools: { named: ['known'], nmaed: ['known'] } };

  test('fails the boot where decorators say all names', async () => {
    expect(await refusal({ controller, metadata, mcp })).toContain(
      'mcp: no server has the tool "nmaed", so the entry protects nothing',
    );
    expect(await allowed({ controller, metadata, mcp })).toContain('the tool "nmaed"');
  });

  test('is none where a template stands for the URI, or MCP-Nest has it by hand', async () => {
    const resources = { 'notes://private': ['known'], 'notes://{id}': ['known'] };
    await start({ controller, metadata, mcp: { resources } });
    expect(warnings().join()).not.toContain('no server has');
    const useValue = { getTools: () => [{ metadata: { name: 'nmaed' } }] };
    const providers = [{ provide: 'MCP_STRATEGY', useValue }];
    await start({ controller, metadata: { ...metadata, providers }, mcp });
    expect(warnings().join()).not.toContain('no server has');
  });

  test('is a warning, once, when a server without decorators shows its first list', async () => {
    const { post } = await start({ mcp: { tools: { write: ['known'], qurey: ['known'] } } });
    expect(warnings()).toEqual([]);
    for (let time = 0; time < 2; time++) {
      const { json } = await post(request('tools/list'));
      expect(json.result.tools).toHaveLength(3);
    }
    expect(warnings()).toEqual([
      'mcp: the server lists no tool "qurey", so the entry of the options protects nothing: correct the ' +
        'name, unless it is registered later',
    ]);
  });
});

describe('9.1g: two methods of one name', () => {
  @Injectable()
  class MoreTools {
    @Tool('named')
    again() {
      return 1;
    }
  }

  test('on one server fail the boot', async () => {
    const message = await refusal({
      controller,
      metadata: { ...metadata, providers: [MoreTools] },
    });
    expect(message).toContain(
      'the tool "named" is declared by Tools.named and MoreTools.again, and the server runs one of them',
    );
  });

  test('9.9d: on two servers need the scopes of both, which the boot says', async () => {
    class OtherTools {
      @Tool('named', 'other')
      @Scopes('of:class')
      other() {
        return 1;
      }
    }
    const { post } = await start({ metadata: { ...metadata, providers: [OtherTools] } });
    expect(warnings().join()).toContain(
      'declared by Tools.named and OtherTools.other: calls need the scopes of both, at every resource',
    );
    const call = request('tools/call', { name: 'named' });
    expect((await post(call, { scope: 'known' })).status).toBe(403);
  });

  test('inherited by two classes are one', async () => {
    @Controller()
    class Inherited extends Tools {}
    await start({ controller, metadata: { controllers: [Tools, Inherited] } });
    expect(warnings().join()).not.toContain('declared by');
  });
});

test('9.9d: requirements of one resource, where MCP-Nest stands behind another, too', async () => {
  const resource = 'http://127.0.0.1:1/b/mcp';
  const scopes = ['known', 'greet:them'];
  const other = boundController('b/mcp', UseGuards(AuthplaneGuard), UseResource('b'));
  const start2 = (mcp: object) =>
    start({
      controller,
      metadata: {
        controllers: [Tools, other],
        imports: [AuthplaneModule.forFeature({ name: 'b', resource, scopes, ...mcp })],
      },
      mcp: { prompts: { greet: ['known'] } },
    });
  await start2({});
  expect(warnings().join()).toContain(
    `and MCP-Nest also stands behind ${resource}, where they do not count`,
  );
  await start2({ mcp: { prompts: { greet: ['known'] } } });
  expect(warnings().join()).not.toContain('where they do not count');
});
