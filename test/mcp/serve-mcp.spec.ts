import type { Server } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  Controller,
  ForbiddenException,
  Header,
  Logger,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

@Controller('mcp')
class McpController {
  @Post()
  @Header('X-Before', 'set')
  handle(
    @Req() request: PlatformRequest,
    @Res() reply: PlatformReply,
    @Query('fails') fails: string | undefined,
  ): Promise<void> {
    return serveMcp(request, reply, () => {
      if (fails === 'early') throw new ForbiddenException();
      return (_request, response, body) => {
        if (fails === 'late') return Promise.reject(new Error('a bug'));
        response.writeHead(200, { 'Content-Type': 'text/plain' }).write(JSON.stringify(body));
        if (fails === 'streaming') return Promise.reject(new Error('a bug'));
        response.end();
        return Promise.resolve();
      };
    });
  }
}

describe.each(platforms)('serveMcp on %s', (platform) => {
  let app: RunningApp;

  afterEach(async () => {
    vi.restoreAllMocks();
    await app.close();
  });

  async function post(fails = '') {
    app = await startApp({ controllers: [McpController] }, { platform });
    const response = await fetch(`${app.url}/mcp?fails=${fails}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'ping' }),
    });
    return { response, text: await response.text() };
  }

  it('hands over the parsed body and keeps headers that were set before', async () => {
    const { response, text } = await post();
    expect(response.status).toBe(200);
    expect(JSON.parse(text)).toEqual({ jsonrpc: '2.0', id: 7, method: 'ping' });
    expect(response.headers.get('x-before')).toBe('set');
  });

  it('what fails before is answered by the filters of the application', async () => {
    expect((await post('early')).response.status).toBe(403);
  });

  it('what fails late is a JSON-RPC error for this request, which tells nothing', async () => {
    const { response, text } = await post('late');
    expect(response.status).toBe(500);
    expect(JSON.parse(text)).toEqual({
      jsonrpc: '2.0',
      error: { code: -32603, message: 'Internal error' },
      id: 7,
    });
  });

  it('what fails late is logged with its stack, because no filter sees it', async () => {
    const logged = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    await post('late');
    expect(logged).toHaveBeenCalledTimes(1);
    const stack: unknown = logged.mock.calls[0]?.[1];
    expect(stack).toMatch(/^Error: a bug\n\s+at .*serve-mcp\.spec\.ts/);
  });

  it('10.19: a client that goes away aborts the signal, and is no error of the server', async () => {
    const logged = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    let aborted: (() => void) | undefined;
    const wasAborted = new Promise<void>((resolve) => (aborted = resolve));
    @Controller('mcp')
    class WaitingController {
      @Post()
      handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
        return serveMcp(request, reply, (signal) => async (_request, response) => {
          response.writeHead(200, { 'Content-Type': 'text/event-stream' });
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
          aborted?.();
          throw signal.reason;
        });
      }
    }
    app = await startApp({ controllers: [WaitingController] }, { platform });
    const leaving = new AbortController();
    // Its head is there before any event: the promise would not resolve otherwise.
    const response = await fetch(`${app.url}/mcp`, { method: 'POST', signal: leaving.signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    leaving.abort();
    await wasAborted;
    await new Promise(setImmediate);
    (app.app.getHttpServer() as Server).closeAllConnections();
    expect(logged).not.toHaveBeenCalled();
  });

  it('a stream that has begun is ended', async () => {
    const { response, text } = await post('streaming');
    expect(response.status).toBe(200);
    expect(text).toContain('ping');
  });
});
