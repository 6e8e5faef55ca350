import { describe, expect, test } from 'vitest';
import { Controller, Get, Post } from '@nestjs/common';
import {
  AuthplaneModule,
  AuthplaneOperations,
  McpEndpoint,
  Scopes,
  UseResource,
} from 'authplane-nestjs';
import { bootHarness } from '../../support/nest/boot.js';
import { boundController, Tool } from '../../support/nest/mcp-nest-decorators.js';

const { start, refusal, warnings, logged } = bootHarness();

/** At the path of the resource. */
@Controller('mcp')
class PlainController {
  @Post()
  @Scopes('known')
  post() {
    return 'posted';
  }

  @Get()
  get() {
    return 'got';
  }
}

@Controller('else')
@McpEndpoint()
class MarkedController extends PlainController {}

@Controller('else')
@McpEndpoint()
@UseResource('tools')
class OfTools extends PlainController {}

class ScopedTools {
  @Tool('scoped')
  @Scopes('known')
  scoped() {
    return 'some';
  }
}

class OpenTools {
  @Tool('open')
  open() {
    return 'all';
  }
}

const plain = (controller: typeof PlainController) => ({
  controller,
  options: { mcp: false, guard: 'global' } as const,
});
const feature = AuthplaneModule.forFeature({
  name: 'tools',
  resource: 'https://tools.example/tools',
  scopes: ['known'],
  mcp: { tools: { read: ['known'] } },
});

describe('12.9: a resource that is no MCP endpoint', () => {
  test('starts without a word about MCP', async () => {
    await start(plain(PlainController));
    expect(warnings()).toEqual([]);
    expect(logged().filter((line) => /MCP|protecting/.test(line))).toEqual([
      expect.stringMatching(/^protecting \S+\/mcp with tokens of/),
    ]);
  });

  test('has no endpoints of a host', async () => {
    expect(await refusal(plain(MarkedController))).toMatch(
      /MarkedController is an MCP endpoint of \S+\/mcp, whose options say mcp: false: leave that out, or/,
    );
    expect(await refusal(plain(boundController('else') as typeof PlainController))).toMatch(
      /HttpController is an MCP endpoint of \S+, whose options say mcp: false/,
    );
  });

  test('has no operations with scopes', async () => {
    const scoped = { ...plain(PlainController), metadata: { providers: [ScopedTools] } };
    expect(
      await refusal({ ...scoped, options: { ...scoped.options, allowUnguarded: true } }),
    ).toMatch(
      /@Scopes on ScopedTools\.scoped \(tool "scoped"\): no resource of the application is an MCP endpoint/,
    );
  });

  test('learns none from servers, either', async () => {
    const { app } = await start(plain(PlainController));
    const operations = app.app.get(AuthplaneOperations);
    expect(() => operations.declare({ kind: 'tool', name: 'x', scopes: ['known'] })).toThrow(
      /\/mcp is no MCP endpoint, as mcp: false says/,
    );
    expect(() => operations.isVisible({ kind: 'tool', name: 'x' }, {} as never)).toThrow(
      'is no MCP endpoint',
    );
  });

  test('beside one that is: endpoints and tools belong to that one', async () => {
    const options = plain(OfTools);
    const metadata = { imports: [feature], providers: [ScopedTools, OpenTools] };
    expect(await refusal({ ...options, metadata })).toBe('');
    expect(await refusal({ ...plain(MarkedController), metadata })).toContain('say mcp: false');
  });

  test('a further one inherits it, unless it says otherwise', async () => {
    const other = (mcp?: false) =>
      AuthplaneModule.forFeature({
        name: 'tools',
        resource: 'https://tools.example/tools',
        scopes: ['known'],
        ...(mcp === undefined ? {} : { mcp }),
      });
    expect(await refusal({ ...plain(OfTools), metadata: { imports: [other()] } })).toContain(
      'OfTools is an MCP endpoint of https://tools.example/tools',
    );
    expect(await refusal({ controller: OfTools, metadata: { imports: [other(false)] } })).toContain(
      'OfTools is an MCP endpoint of https://tools.example/tools',
    );
  });
});
