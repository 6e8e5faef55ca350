/** Lists without what their caller may not use, and tokens that are remembered, of several tenants of one application. */
import { All, Controller, Inject, Injectable, Req, Res, UseGuards } from '@nestjs/common';
import { AuthplaneGuard } from 'authplane-nestjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  call,
  Host,
  type McpApp,
  McpController,
  request,
  startMcpApp,
} from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';

type Handled = Parameters<McpController['handle']>;

@Injectable()
@Controller('mcp/:tenant')
@UseGuards(AuthplaneGuard)
class TenantController extends McpController {
  constructor(@Inject(Host) host: Host) {
    super(host);
  }

  @All()
  override handle(@Req() incoming: Handled[0], @Res() reply: Handled[1]): Promise<void> {
    return super.handle(incoming, reply);
  }
}

describe.each(platforms)('12.4: tenants on %s', (platform) => {
  let app: McpApp;
  let tokens: Readonly<Record<'acme' | 'globex', string>>;
  beforeAll(async () => {
    app = await startMcpApp({
      platform,
      controller: TenantController,
      mcp: {
        list: 'hide',
        tools: {
          write: ['w'],
          read: async (_operation, { audience }) => {
            await Promise.resolve();
            return audience[0]?.endsWith('/acme') === true ? [] : ['never'];
          },
        },
      },
      options: {
        mcpPath: '/mcp/:tenant',
        isResource: ({ tenant = '' }) => ['acme', 'globex'].includes(tenant),
      },
    });
    tokens = {
      acme: await app.bearer('w', { aud: [`${app.mcpUrl}/acme`] }),
      globex: await app.bearer('', { aud: [`${app.mcpUrl}/globex`] }),
    };
  });
  afterAll(() => app.close());

  const send = (body: unknown, at: 'acme' | 'globex', token = at) =>
    app.post(body, {
      scope: null,
      url: `${app.mcpUrl}/${at}`,
      headers: { authorization: tokens[token] },
    });

  test('each list is of its tenant, also of many at the same time', async () => {
    const listed = async (at: 'acme' | 'globex') => {
      const { text } = await send(request('tools/list'), at);
      return ['open', 'read', 'write'].filter((name) => text.includes(`"name":"${name}"`));
    };
    const places = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? 'acme' : 'globex'));
    const expected = { acme: ['open', 'read', 'write'], globex: ['open'] };
    expect(await Promise.all(places.map(listed))).toEqual(places.map((at) => expected[at]));
    const hidden = await send(call('write'), 'globex');
    const unknown = await send(call('nope'), 'globex');
    expect(hidden.text.replaceAll('write', 'nope')).toBe(unknown.text);
    expect(app.runs).toEqual([]);
  });

  test('a token that is remembered at one is as unknown at the other', async () => {
    for (let turn = 0; turn < 3; turn++) {
      for (const [at, other] of [
        ['acme', 'globex'],
        ['globex', 'acme'],
      ] as const) {
        expect((await send(call('open'), at)).status).toBe(200);
        expect((await send(call('open'), other, at)).status).toBe(401);
      }
    }
    expect(app.runs).toHaveLength(6);
  });
});
