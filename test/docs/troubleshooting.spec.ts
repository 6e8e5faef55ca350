import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleLogger, Controller, Get, Logger } from '@nestjs/common';
import { AuthplaneModule, type AuthplaneModuleOptions, Scopes } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
  type TokenClaims,
  type TokenHeader,
} from 'authplane-nestjs/testing';
import { freePort, type RunningApp, startApp } from '../support/nest/start-app.js';
import { codeBlocks } from '../support/docs/markdown.js';

const ISSUER = 'https://auth.example.com';
const RESOURCE = 'https://mcp.example.com/mcp';

@Controller('tools')
@Scopes('mcp:tools')
class ToolsController {
  @Get()
  get() {
    return 'ok';
  }
}

class RecordingLogger extends ConsoleLogger {
  readonly lines: string[] = [];

  override debug(message: string) {
    this.lines.push(message);
  }
  override warn(message: string) {
    this.lines.push(message);
  }
  override log(message: string) {
    this.lines.push(message);
  }
}

/** Each message is a code block of the README, exactly as it is printed. */
describe('the messages in the README', () => {
  const shown = codeBlocks('README.md')
    .filter(({ language }) => language === '')
    .map(({ code }) => code.trimEnd());
  let authorizationServer: StandInAuthorizationServer;
  let logger: RecordingLogger;
  let app: RunningApp | undefined;
  let origin: string;

  beforeEach(async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    authorizationServer = await startAuthorizationServer({ issuer: ISSUER, port });
    logger = new RecordingLogger();
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await authorizationServer.close();
  });

  /** The names are those of the README; the application's own `fetch` leads them to loopback. */
  function start(options: Partial<AuthplaneModuleOptions> = {}): Promise<RunningApp> {
    return startWith({
      issuer: ISSUER,
      fetch: (url, init) => fetch(url.replace(ISSUER, origin), init),
      ...options,
    });
  }

  async function startWith(options: Omit<AuthplaneModuleOptions, 'resource'>): Promise<RunningApp> {
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ ...options, resource: RESOURCE, guard: 'global' })],
        controllers: [ToolsController],
      },
      { platform: 'fastify', configure: () => Logger.overrideLogger(logger) },
    );
    return app;
  }

  async function refusal(claims: TokenClaims, header: TokenHeader = {}): Promise<string> {
    const { url } = await start();
    const token = await authorizationServer.issueToken({ aud: [RESOURCE], ...claims }, header);
    await fetch(`${url}/tools`, { headers: { authorization: `Bearer ${token}` } });
    const line = logger.lines.find((text) => text.startsWith('refused: ')) ?? '';
    return line.replace(/^refused: \w+: /, '');
  }

  it('issuer', async () => {
    const boot: unknown = await start({ issuer: `${ISSUER}/` }).catch((error: unknown) => error);
    expect(boot).toBeInstanceOf(Error);
    expect(shown).toContain((boot as Error).message);
  });

  it('resource URI', async () => {
    const message = await refusal({ aud: [`${RESOURCE}/`] });
    expect(message).toContain('does not contain the resource');
    expect(shown).toContain(message);
  });

  it('10.14a: a slash behind the path', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/mcp/`, { method: 'POST' })).status).toBe(404);
    const line = logger.lines.find((text) => text.startsWith('404')) ?? '';
    expect(line).toContain('ignoreTrailingSlash');
    expect(shown).toContain(line);
  });

  it('scope string', async () => {
    const message = await refusal({ scope: 'mcp:tool' });
    expect(message).toContain('mcp:tool');
    expect(shown).toContain(message);
  });

  it('a token for the issuer itself', async () => {
    const message = await refusal({ aud: [ISSUER] });
    expect(message).toContain('asked for no resource');
    expect(shown).toContain(message);
  });

  it('another kind of JWT', async () => {
    const message = await refusal({}, { typ: 'JWT' });
    expect(message).toContain('at+jwt');
    expect(shown).toContain(message);
  });

  it('clocks that differ', async () => {
    const message = await refusal({ iat: Math.floor(Date.now() / 1000) + 600 });
    const shape = (text: string) => text.replace(/\d{10}/g, '<time>');
    expect(message).toContain('in the future');
    expect(shown.map(shape)).toContain(shape(message));
  });

  it('plain http outside devMode', async () => {
    const boot: unknown = await start({ issuer: 'http://localhost:9000' }).catch(
      (error: unknown) => error,
    );
    const { message } = boot as Error;
    expect(message).toContain('devMode');
    expect(shown).toContain(message);
  });

  it('an authorization server that is away', async () => {
    authorizationServer.fail('all', { status: 503 });
    await start();
    const line = logger.lines.find((text) => text.startsWith('protecting')) ?? '';
    expect(line).toContain('requests get 503 until it can be reached');
    expect(shown).toContain(line);
  });

  it('an authorization server with a private address', async () => {
    await startWith({ issuer: 'https://10.0.0.5' }); // refused before anything is sent
    const line = logger.lines.find((text) => text.startsWith('the address')) ?? '';
    expect(line).toContain('private');
    expect(shown).toContain(line.replace('of 10.0.0.5', 'of auth.example.com'));
  });
});
