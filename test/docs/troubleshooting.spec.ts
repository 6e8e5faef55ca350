import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ConsoleLogger, Controller, Get, Logger } from '@nestjs/common';
import { AuthplaneModule, type AuthplaneModuleOptions, Scopes } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
  type TokenClaims,
  type TokenHeader,
} from 'authplane-nestjs/testing';
import { freePort, type RunningApp, startApp } from '../e2e/apps/start-app.js';

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

/** Each message stands in the README exactly as it is printed. */
describe('the troubleshooting tables of the README', () => {
  const readme = readFileSync('README.md', 'utf8');
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
  async function start(options: Partial<AuthplaneModuleOptions> = {}): Promise<RunningApp> {
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({
            issuer: ISSUER,
            resource: RESOURCE,
            guard: 'global',
            fetch: (url, init) => fetch(url.replace(ISSUER, origin), init),
            ...options,
          }),
        ],
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
    expect(readme).toContain((boot as Error).message);
  });

  it('resource URI', async () => {
    const message = await refusal({ aud: [`${RESOURCE}/`] });
    expect(message).toContain('does not contain the resource');
    expect(readme).toContain(`\`${message}\``);
  });

  it('scope string', async () => {
    const message = await refusal({ scope: 'mcp:tool' });
    expect(message).toContain('mcp:tool');
    expect(readme).toContain(`\`${message}\``);
  });

  it('a token for the issuer itself', async () => {
    const message = await refusal({ aud: [ISSUER] });
    expect(message).toContain('asked for no resource');
    expect(readme).toContain(`\`${message}\``);
  });

  it('another kind of JWT', async () => {
    const message = await refusal({}, { typ: 'JWT' });
    expect(message).toContain('at+jwt');
    expect(readme).toContain(`\`${message}\``);
  });

  it('clocks that differ', async () => {
    const message = await refusal({ iat: Math.floor(Date.now() / 1000) + 600 });
    const shape = (text: string) => text.replace(/\d{10}/g, '<time>');
    expect(message).toContain('in the future');
    expect(shape(readme)).toContain(`\`${shape(message)}\``);
  });

  it('plain http outside devMode', async () => {
    const boot: unknown = await start({ issuer: 'http://localhost:9000' }).catch(
      (error: unknown) => error,
    );
    const message = (boot as Error).message.replace('authplane-nestjs: ', '');
    expect(message).toContain('devMode');
    expect(readme).toContain(`\`${message}\``);
  });

  it('an authorization server that is away', async () => {
    authorizationServer.fail('all', { status: 503 });
    await start();
    const line = logger.lines.find((text) => text.startsWith('protecting')) ?? '';
    expect(line).toContain('requests get 503 until it can be reached');
    expect(readme).toContain('requests get 503 until it can be reached');
  });
});
