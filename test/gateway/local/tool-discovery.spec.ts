import { afterEach, describe, expect, test } from 'vitest';
import { Controller, Injectable, UseGuards, UsePipes } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneModule, Scopes, UseResource } from 'authplane-nestjs';
import { GatewayTool, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';

@Injectable()
@Scopes('base')
class Base {
  @GatewayTool({ name: 'inherited' })
  run(): string {
    return 'of the base';
  }
}

@Injectable()
class Derived extends Base {
  override run(): string {
    return 'of the derived';
  }
}

@Injectable()
@UseResource('other')
class OfAnother {
  @GatewayTool({ name: 'elsewhere' })
  run(): string {
    return '';
  }
}

@Controller('x')
class InController {
  @GatewayTool({ name: 'in_controller' })
  run(): string {
    return '';
  }
}

@Injectable()
class Again {
  @GatewayTool({ name: 'again' })
  one(): string {
    return '';
  }

  @GatewayTool({ name: 'again' })
  two(): string {
    return '';
  }
}

@Injectable()
class Wrong {
  @GatewayTool({ name: 'x'.repeat(65) })
  long(): string {
    return '';
  }

  @GatewayTool({ name: 'unchecked', inputSchema: { type: 'object' } as never })
  unchecked(): string {
    return '';
  }
}

const isAdmin = { canActivate: () => false };
class Trimming {
  transform(value: unknown): unknown {
    return value;
  }
}

@Injectable()
class Guarded {
  @GatewayTool({ name: 'guarded' })
  @UseGuards(AuthplaneGuard, isAdmin)
  run(): string {
    return '';
  }

  @GatewayTool({ name: 'piped' })
  @UsePipes(Trimming)
  piped(): string {
    return '';
  }
}

@Controller('guarded')
@UseGuards(AuthplaneGuard, isAdmin)
class InGuardedController {
  @GatewayTool({ name: 'beside_routes' })
  run(): string {
    return '';
  }
}

@Controller('ours')
@UseGuards(AuthplaneGuard)
class InOurController {
  @GatewayTool({ name: 'ours' })
  run(): string {
    return '';
  }
}

@Injectable()
class Taken {
  @GatewayTool({ name: 'events' })
  run(): string {
    return '';
  }
}

let app: GatewayApp | undefined;
afterEach(async () => app?.close());

const up = { url: 'http://127.0.0.1:9/mcp', token: none() };
const start = async (metadata: Parameters<typeof startGateway>[0]['metadata'] & object) => {
  app = undefined;
  app = await startGateway({
    scopes: ['base'],
    gateway: { upstreams: { up: { ...up, tools: { list: { as: 'events' } } } } },
    metadata,
  });
  return app;
};

describe('14.1: where tools of the gateway are found', () => {
  test('in providers and controllers, factories and base classes, with the scopes of the class', async () => {
    const made = { provide: 'made', useFactory: () => new Derived() };
    const { ask, token } = await start({ providers: [made], controllers: [InController] });
    const { json } = await ask('tools/list');
    expect(json.result.tools.map(({ name }: { name: string }) => name)).toEqual([
      'inherited',
      'in_controller',
    ]);
    const params = { name: 'inherited', arguments: {} };
    expect((await ask('tools/call', params, { token: await token({ scope: '' }) })).status).toBe(
      403,
    );
    expect((await ask('tools/call', params)).json.result.content[0].text).toBe('of the derived');
  });

  test('what cannot be offered fails the boot, all at once', async () => {
    await expect(start({ providers: [Again] })).rejects.toThrow(
      '@GatewayTool of Again.two: the name "again" is that of Again.one, too',
    );
    const wrong = await start({ providers: [Wrong] }).catch((error: unknown) => String(error));
    expect(wrong).toContain('Wrong.long: the name');
    expect(wrong).toContain('longer than maxNameLength');
    expect(wrong).toContain('Wrong.unchecked: inputSchema: must be a Standard Schema');
    const metadata = { providers: [Guarded], controllers: [InGuardedController, InOurController] };
    const guarded = await start(metadata).catch((error: unknown) => String(error));
    for (const [where, what] of [
      ['Guarded.run', 'Object'],
      ['Guarded.piped', 'Trimming'],
      ['InGuardedController.run', 'Object'],
    ]) {
      expect(guarded).toContain(
        `@GatewayTool of ${where}: Nest runs no guards, pipes and interceptors for it (${what}): ask`,
      );
    }
    expect(guarded).not.toContain('InOurController');
    await expect(start({ providers: [Taken] })).rejects.toThrow(
      'upstreams.up.tools.list: the name "events" is that of a tool of the gateway',
    );
  });

  test('one of a gateway that is not there fails the boot', async () => {
    await expect(start({ providers: [OfAnother] })).rejects.toThrow('@UseResource');
  });

  test('one of another gateway is not in this one', async () => {
    const other = AuthplaneModule.forFeature({
      name: 'other',
      resource: 'http://127.0.0.1:9/other',
    });
    const { ask } = await start({ imports: [other], providers: [OfAnother] });
    expect((await ask('tools/list')).json.result.tools).toEqual([]);
  });
});
