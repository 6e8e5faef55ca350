import { Controller, Get, Post, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, McpEndpoint, Public, UseResource } from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import {
  isGuardedItself,
  nameOf,
  routesOf,
  servesResource,
} from '../../../src/nest/boot/boot-routes.js';
import { mcpNest } from '../../../src/nest/mcp/hosts/mcp-nest.js';
import { foundApplication, knownClass, offlineModule } from '../../support/nest/offline-module.js';

@Controller('mcp')
class McpController {
  @Post()
  post() {
    return 1;
  }

  @Get('files')
  @UseGuards(AuthplaneGuard)
  files() {
    return 1;
  }

  helper() {
    return 1;
  }
}

@Controller('notes')
@UseGuards(AuthplaneGuard)
class NotesController {
  @Get()
  @Public()
  all() {
    return 1;
  }
}

@Controller('anywhere')
@McpEndpoint()
class MarkedController {
  @Post()
  post() {
    return 1;
  }
}

@Controller('admin')
@UseResource('admin')
class AdminController {
  @Get()
  get() {
    return 1;
  }
}

const offline = offlineModule();
const routes = (types: readonly unknown[], found = {}, known = {}) =>
  routesOf(
    foundApplication(offline, { classes: types.map((type) => knownClass(type, known)), ...found }),
  );

describe('routesOf', () => {
  it('finds what controllers serve, and whether it is guarded and open', () => {
    const flags = { isPublic: false, isGuarded: false, isEndpoint: false, isBelowEndpoint: false };
    expect(routes([McpController, NotesController])).toMatchObject([
      { ...flags, controller: McpController, name: 'post', isEndpoint: true },
      { ...flags, name: 'files', isGuarded: true, isBelowEndpoint: true },
      { ...flags, name: 'all', isGuarded: true, isPublic: true, resource: offline.resources.main },
    ]);
  });

  it('finds none in providers', () => {
    expect(routes([McpController], {}, { isController: false })).toEqual([]);
  });

  it('a guard of the application guards all of them', () => {
    const found = routes([McpController], { isGuardedGlobally: true });
    expect(found.map(({ isGuarded }) => isGuarded)).toEqual([true, true]);
  });

  it('is an endpoint by its path, its mark, or the library that has made it', () => {
    const isEndpoint = (type: unknown, known = {}) =>
      routes([type], {}, known).map((route) => route.isEndpoint);
    expect(isEndpoint(MarkedController)).toEqual([true]);
    expect(isEndpoint(NotesController)).toEqual([false]);
    expect(isEndpoint(NotesController, { library: mcpNest })).toEqual([true]);
  });

  it('is none by its path where the resource is no MCP endpoint', () => {
    const { resources } = offlineModule({ mcp: false });
    const [post, files] = routes([McpController], { resources });
    expect([post?.isEndpoint, files?.isBelowEndpoint]).toEqual([false, false]);
  });

  it('refuses the name of a resource that nobody has given', () => {
    expect(() => routes([AdminController])).toThrow(
      '@UseResource("admin"): no such resource; AuthplaneModule.forFeature has named: none',
    );
  });
});

it('servesResource: by the path of the resource', () => {
  const { main } = offline.resources;
  const { post, files } = McpController.prototype;
  expect(servesResource(McpController, post, main)).toBe(true);
  expect(servesResource(McpController, files, main)).toBe(false);
});

it('isGuardedItself: on the handler or its class', () => {
  const { post, files } = McpController.prototype;
  expect(isGuardedItself(McpController, post)).toBe(false);
  expect(isGuardedItself(McpController, files)).toBe(true);
  expect(isGuardedItself(NotesController, post)).toBe(true);
});

it('nameOf: class and method', () => {
  expect(routes([McpController]).map(nameOf)).toEqual([
    'McpController.post',
    'McpController.files',
  ]);
});
