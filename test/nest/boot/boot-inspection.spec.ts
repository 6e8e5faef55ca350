import { Controller, Get, Module, Post, Sse, UseGuards } from '@nestjs/common';
import {
  APP_GUARD,
  ApplicationConfig,
  DiscoveryModule,
  DiscoveryService,
  HttpAdapterHost,
  ModulesContainer,
} from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import {
  type AuthplaneModuleOptions,
  AuthplaneProtected,
  ConfigurationError,
  McpEndpoint,
  Public,
  Scopes,
} from 'authplane-nestjs';
import { describe, expect, it } from 'vitest';
import {
  BootInspection,
  type InspectionSettings,
  refuseSecond,
} from '../../../src/nest/boot/boot-inspection.js';
import { offlineModule } from '../../support/nest/offline-module.js';

/** Of the application, and asks ours. */
@AuthplaneProtected()
class CombinedGuard {
  canActivate() {
    return true;
  }
}

@Controller('mcp')
class BareController {
  @Post()
  post() {
    return 1;
  }
}

@Controller('mcp')
class GuardedController {
  @Post()
  @UseGuards(CombinedGuard)
  post() {
    return 1;
  }

  @Sse('events')
  events() {
    return [];
  }
}

@Controller('reports')
class ReportsController {
  @Get()
  @Scopes('reports')
  get() {
    return 1;
  }
}

/** What is there without the platform having been started. */
async function inspect(
  controllers: readonly (new () => object)[],
  options: Partial<AuthplaneModuleOptions> = {},
  extras: InspectionSettings = {},
  providers: readonly object[] = [],
) {
  const metadata = { imports: [DiscoveryModule], controllers: [...controllers] };
  const module = await Test.createTestingModule({
    ...metadata,
    providers: [...providers] as never[],
  }).compile();
  module.createNestApplication(new ExpressAdapter(), { logger: false });
  const offline = offlineModule(options);
  const inspection = new BootInspection({
    modules: module.get(ModulesContainer),
    discovery: module.get(DiscoveryService, { strict: false }),
    config: module.get(ApplicationConfig),
    adapterHost: module.get(HttpAdapterHost),
    resources: offline.resources,
    extras,
  });
  return { ...offline, inspection };
}

const problemsOf = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
};

const NAMED = { mcp: { tools: { read: ['notes'] } }, scopes: ['notes', 'reports'] };

describe('what is open', () => {
  it('fails the boot, and the last of it names the way out', async () => {
    const { inspection } = await inspect([BareController, ReportsController], NAMED);
    const problems = problemsOf(() => inspection.atStart());
    expect(problems).toHaveLength(2);
    expect(problems.filter((text) => text.includes('allowUnguarded: true'))).toEqual([problems[1]]);
    expect(problems.join()).toContain('BareController.post is an MCP endpoint');
    expect(problems.join()).toContain('ReportsController.get');
  });

  it('is a warning of each with allowUnguarded', async () => {
    const allowed = { allowUnguarded: true };
    const { inspection } = await inspect([BareController, ReportsController], NAMED, allowed);
    const warnings = inspection.atStart().join('\n');
    expect(warnings).toContain('BareController.post is an MCP endpoint');
    expect(warnings).toContain('ReportsController.get');
    expect(warnings).not.toContain('allowUnguarded');
  });

  it('is nothing behind guards', async () => {
    expect((await inspect([GuardedController], NAMED)).inspection.atStart()).toEqual([]);
    const everywhere = { guard: 'global' } as const;
    const global = await inspect([BareController, ReportsController], NAMED, everywhere);
    expect(global.inspection.atStart()).toEqual([]);
  });

  it('nor behind a guard of the whole application that is marked as one that asks ours', async () => {
    const provider = { provide: APP_GUARD, useClass: CombinedGuard };
    const { inspection } = await inspect([BareController], NAMED, {}, [provider]);
    expect(inspection.atStart()).toEqual([]);
  });
});

describe('what the start says of resources', () => {
  const uri = 'https://mcp.example.com/mcp';

  it('open and protected ones, apart', async () => {
    const open = (await inspect([BareController])).inspection;
    expect([open.uris({ isOpen: true }), open.uris({ isOpen: false })]).toEqual([[uri], []]);
    const closed = (await inspect([GuardedController])).inspection;
    expect([closed.uris({ isOpen: true }), closed.uris({ isOpen: false })]).toEqual([[], [uri]]);
  });

  it('all scopes that somebody needs', async () => {
    const { inspection } = await inspect([ReportsController], { ...NAMED, scopes: ['base'] });
    expect(new Set(inspection.needs.all)).toEqual(new Set(['reports', 'notes', 'base']));
  });
});

describe('what the application is to be asked', () => {
  it('of a guarded endpoint: the operation, the streams beside it, and its document', async () => {
    const { inspection, main } = await inspect([GuardedController], NAMED);
    expect(inspection.checkedResources({})).toEqual([
      {
        resource: main,
        isGuarded: true,
        admitsAnybody: false,
        servesMetadata: true,
        operation: { method: 'tools/call', params: { name: 'read' }, scopes: ['notes'] },
        streams: ['/mcp/events'],
      },
    ]);
  });

  it.each([[BareController], [PublicController()]])('nothing of an open one: %o', async (type) => {
    const [checked] = (await inspect([type])).inspection.checkedResources({});
    expect(checked).toMatchObject({ isGuarded: false, streams: [], operation: undefined });
  });

  it('no document that is not served here', async () => {
    const { inspection } = await inspect([GuardedController]);
    expect(inspection.checkedResources({ metadataRoute: false })).toMatchObject([
      { servesMetadata: false },
    ]);
    const resourceMetadataUrl = 'https://docs.example.com/resource.json';
    const hosted = (await inspect([GuardedController], { resourceMetadataUrl })).inspection;
    expect(hosted.checkedResources({})).toMatchObject([{ servesMetadata: false }]);
  });

  it('templates, where no name is known and the documents are ours', async () => {
    const many = {
      baseUrl: 'https://mcp.example.com',
      mcpPath: '/mcp/:tenant',
      isResource: () => true,
    };
    const { inspection } = await inspect([], many);
    const templates = ['https://mcp.example.com/mcp/:tenant'];
    expect(inspection.checkedTemplates({}, false)).toEqual(templates);
    expect(inspection.checkedTemplates({}, true)).toEqual([]);
    expect(inspection.checkedTemplates({ metadataRoute: false }, false)).toEqual([]);
  });
});

describe('refuseSecond', () => {
  @Module({})
  class One {}
  @Module({})
  class Other {}
  const modules = (...types: object[]) =>
    new Map(types.map((metatype, index) => [String(index), { metatype }])) as never;

  it('one of each is fine', () => {
    expect(() => refuseSecond(One, modules(One, Other))).not.toThrow();
    expect(() => refuseSecond(One, modules(Other, Other))).not.toThrow();
  });

  it('two of ours are a mistake, and the message names forFeature', () => {
    expect(() => refuseSecond(One, modules(One, Other, One))).toThrow(
      /^authplane-nestjs: AuthplaneModule.forRoot or forRootAsync is imported twice: .*forFeature/,
    );
  });
});

function PublicController() {
  @Controller('mcp')
  @McpEndpoint()
  class OpenController {
    @Post()
    @Public()
    @UseGuards(CombinedGuard)
    post() {
      return 1;
    }
  }
  return OpenController;
}
