import { describe, expect, it } from 'vitest';
import { Controller, Get, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneModule, Public, UseResource } from 'authplane-nestjs';
import { bootHarness } from '../../support/nest/boot.js';
import { sideRouteFindings } from '../../../src/nest/boot/side-route-checks.js';
import { foundApplication, knownClass, offlineModule } from '../../support/nest/offline-module.js';

class AguiController {}
class McpController {}

const classes = [knownClass(AguiController, { runsElsewhere: true }), knownClass(McpController)];
const found = (mcp: object | false) =>
  sideRouteFindings(foundApplication(offlineModule({ mcp }), { classes }));

describe('routes of a library that run tools for bodies that are no JSON-RPC', () => {
  it('are wrong where the options name requirements', () => {
    expect(found({ tools: { read: ['a'] } })).toEqual([
      {
        weight: 'wrong',
        text: expect.stringMatching(/^AguiController runs tools .*: switch it off, or say all/),
      },
    ]);
  });

  it('are none of our business where marks say everything', () => {
    expect([found({}), found({ list: 'hide' }), found(false)]).toEqual([[], [], []]);
  });

  it('are wrong where marks hide something', () => {
    const offline = offlineModule();
    const hidden = { kind: 'tool', name: 'read', requirement: ['a'], list: 'hide' } as const;
    offline.resources.main.mcp.learn(hidden);
    expect(sideRouteFindings(foundApplication(offline, { classes }))).toHaveLength(1);
  });
});

describe('guarded routes beside the paths of many resources', () => {
  const { start, warnings } = bootHarness();

  @Controller('mcp/:tenant')
  @UseGuards(AuthplaneGuard)
  class TenantController {
    @Get()
    get() {
      return 'an endpoint';
    }

    @Get('about')
    about() {
      return 'below it';
    }
  }

  @Controller()
  @UseGuards(AuthplaneGuard)
  class StrayController {
    @Get('things')
    things() {
      return 'nobody gets there';
    }

    @Get('health')
    @Public()
    health() {
      return 'everybody does';
    }

    @Get('admin')
    @UseResource('admin')
    admin() {
      return 'has a resource';
    }
  }

  const controllers = [StrayController];
  const further = AuthplaneModule.forFeature({
    name: 'admin',
    resource: 'http://127.0.0.1:1/admin',
  });
  const started = (options: object) =>
    start({ controller: TenantController, metadata: { controllers, imports: [further] }, options });

  it('12.4: are named, because they answer everybody with 404', async () => {
    await started({ mcpPath: '/mcp/:tenant', isResource: () => true });
    expect(warnings()).toEqual([
      expect.stringMatching(
        /^StrayController\.things is guarded and on no path of \S+\/mcp\/:tenant, so that every request/,
      ),
    ]);
  });

  it('are as any other where there is one resource', async () => {
    await started({ mcpPath: '/mcp' });
    expect(warnings()).toEqual([]);
  });
});
