import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { EventEmitter, once } from 'node:events';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Injectable,
  type NestInterceptor,
  Post,
  Res,
  Scope,
  Sse,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { queue as asyncQueue } from 'async';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  Claims,
  NoCallerError,
  Public,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import * as fastq from 'fastq';
import PQueue from 'p-queue';
import { filter, finalize, map, type Observable, Subject, tap } from 'rxjs';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';
import { settled } from '../support/time/settled.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

/** Two layers below the handler, and some turns of the event loop later. */
@Injectable()
class DeepService {
  constructor(private readonly caller: AuthContext) {}

  async whoIsCalling() {
    await delay(Math.random() * 20);
    const { sub } = this.caller.claims;
    await new Promise((resolve) => setImmediate(resolve));
    return { sub, later: this.caller.claims.sub, token: this.caller.token };
  }
}

@Controller('who')
@UseGuards(AuthplaneGuard)
class WhoController {
  constructor(private readonly service: DeepService) {}

  @Get()
  who() {
    return this.service.whoIsCalling();
  }
}

type Job = () => Promise<string>;

/** Whatever carries work of one request on inside another one, with and without bind. */
@Injectable()
class Shared {
  readonly pQueue = new PQueue({ concurrency: 1 });
  readonly fastq = fastq.promise((job: Job) => job(), 1);
  readonly async = asyncQueue<Job, string>(async (job: Job) => job(), 1);
  readonly events = new Subject<{ readonly owner: string }>();
  readonly emitter = new EventEmitter();
  readonly seen: string[] = [];
  /** Jobs wait here, so that the next is put in while one is running. */
  readonly gate = new Subject<void>();
}

const QUEUES = ['p-queue', 'fastq', 'async'] as const;

@Controller('shared')
class SharedController {
  constructor(
    private readonly shared: Shared,
    private readonly caller: AuthContext,
  ) {}

  @Post('p-queue')
  pQueue() {
    return this.shared.pQueue.add(this.caller.bind(this.job()));
  }

  @Post('fastq')
  fastq() {
    return this.shared.fastq.push(this.caller.bind(this.job()));
  }

  @Post('async')
  async() {
    return this.shared.async.push<string>(this.caller.bind(this.job()));
  }

  @Post('p-queue/snapshot')
  snapshot() {
    const snapshot = this.caller.snapshot();
    return this.shared.pQueue.add(() => this.caller.run(snapshot, this.job()));
  }

  @Post('emitter')
  async emitter() {
    const listener = this.caller.bind(() => this.caller.claims.sub);
    return new Promise((resolve) => this.shared.emitter.once('go', () => resolve(listener())));
  }

  @Post('emit')
  emit() {
    this.shared.emitter.emit('go');
    return 'emitted';
  }

  @Sse('bound')
  bound() {
    const isMine = this.caller.bind(
      ({ owner }: { readonly owner: string }) => owner === this.caller.claims.sub,
    );
    return this.shared.events.pipe(
      filter(isMine),
      map((data) => ({ data })),
    );
  }

  @Sse('claims')
  claims(@Claims('sub') sub: string) {
    return this.shared.events.pipe(
      filter(({ owner }) => owner === sub),
      map((data) => ({ data })),
      finalize(() => this.shared.seen.push(`finalize ${this.caller.current?.claims.sub}`)),
    );
  }

  @Post('publish')
  publish() {
    for (const owner of ['alice', 'bob']) this.shared.events.next({ owner });
    return 'published';
  }

  @Get('close')
  close(@Res({ passthrough: true }) response: ServerResponse | { raw: ServerResponse }) {
    const raw = 'raw' in response ? response.raw : response;
    raw.on('close', () => this.shared.seen.push(`close ${this.caller.claims.sub}`));
    return 'answered';
  }

  @Get('hang')
  async hang(@Res({ passthrough: true }) response: ServerResponse | { raw: ServerResponse }) {
    this.close(response);
    this.shared.seen.push('hanging');
    await once(this.shared.emitter, 'never');
  }

  private job(): Job {
    return async () => {
      await delay(5);
      await once(this.shared.emitter, 'go');
      const { sub } = this.caller.claims;
      await delay(1);
      return `${sub} ${this.caller.claims.sub} ${this.caller.token.length > 0}`;
    };
  }
}

@Injectable()
class GuardBehind implements CanActivate {
  constructor(private readonly caller: AuthContext) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.caller.current === undefined) return context.getHandler().name === 'open';
    return this.caller.claims.sub !== 'mallory';
  }
}

@Injectable()
class Audit implements NestInterceptor {
  constructor(
    private readonly caller: AuthContext,
    private readonly shared: Shared,
  ) {}

  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const before = this.caller.current?.claims.sub;
    return next
      .handle()
      .pipe(tap(() => this.shared.seen.push(`audit ${before} ${this.caller.current?.claims.sub}`)));
  }
}

class Oops extends Error {}

@Catch(Oops)
@Injectable()
class OopsFilter implements ExceptionFilter {
  constructor(private readonly caller: AuthContext) {}

  catch(_error: Oops, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<{ send(text: string): void }>();
    response.send(`caught for ${this.caller.claims.sub}`);
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  readonly atConstruction: string | undefined;
  readonly #later: () => string;

  constructor(private readonly caller: AuthContext) {
    this.atConstruction = caller.current?.claims.sub;
    this.#later = caller.bind(() => this.caller.claims.sub);
  }

  later(): string {
    return `${this.atConstruction} ${this.caller.claims.sub} ${this.#later()}`;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Eager {
  readonly sub: string;

  constructor(caller: AuthContext) {
    this.sub = caller.claims.sub;
  }
}

@Controller('whole')
class WholeController {
  constructor(private readonly caller: AuthContext) {}

  @Post()
  post(@Claims() claims: VerifiedClaims) {
    return `${claims.sub} ${this.caller.claims.sub}`;
  }

  @Get('oops')
  @UseFilters(OopsFilter)
  oops() {
    throw new Oops();
  }

  @Get('open')
  @Public()
  open() {
    return this.caller.claims;
  }
}

@Controller('per-request')
class PerRequestController {
  constructor(private readonly service: PerRequest) {}

  @Post()
  get() {
    return this.service.later();
  }
}

@Controller('eager')
class EagerController {
  constructor(private readonly service: Eager) {}

  @Get()
  get() {
    return this.service.sub;
  }
}

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

const tokenOf = (sub: string) => authorizationServer.issueToken({ aud: [RESOURCE], sub });
const headersOf = async (sub: string) => ({
  authorization: `Bearer ${await tokenOf(sub)}`,
  'content-type': 'application/json',
});

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await delay(2);
}

describe.each(platforms)('AuthContext on %s', (platform) => {
  let app: RunningApp;

  beforeAll(async () => {
    const options = { issuer: authorizationServer.issuer, resource: RESOURCE, devMode: true };
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot(options)],
        controllers: [WhoController],
        providers: [DeepService],
      },
      { platform },
    );
  });
  afterAll(() => app.close());

  it('shows each of 200 interleaved callers to themselves only', async () => {
    const users = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const sub = `user-${index % 50}`;
        return { sub, token: await tokenOf(sub) };
      }),
    );
    const seen = await Promise.all(
      users.map(async ({ token }) => {
        const response = await fetch(`${app.url}/who`, {
          headers: { authorization: `Bearer ${token}` },
        });
        return response.json();
      }),
    );
    expect(seen).toEqual(users.map(({ sub, token }) => ({ sub, later: sub, token })));
  });

  it('has no caller outside a guarded handler', () => {
    const context = app.app.get(AuthContext);
    expect(context.current).toBeUndefined();
    expect(() => context.claims).toThrow(NoCallerError);
    expect(() => context.token).toThrow(NoCallerError);
    expect(() => context.requireScope('a')).toThrow(NoCallerError);
    expect(context.snapshot().current).toBeUndefined();
  });
});

describe.each(platforms)('9.1i: work that is carried on inside another request, %s', (platform) => {
  let app: RunningApp;
  let shared: Shared;

  beforeAll(async () => {
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({
            issuer: authorizationServer.issuer,
            resource: RESOURCE,
            devMode: true,
            guard: 'global',
          }),
        ],
        controllers: [SharedController],
        providers: [Shared],
      },
      { platform },
    );
    shared = app.app.get(Shared);
  });
  afterAll(() => app.close());

  const post = async (path: string, sub: string) => {
    const response = await fetch(`${app.url}/shared/${path}`, {
      method: 'POST',
      headers: await headersOf(sub),
      body: '{}',
    });
    return response.text();
  };

  test.each([...QUEUES, 'p-queue/snapshot'])(
    '%s: each job runs as its own caller',
    async (path) => {
      const subs = ['alice', 'bob', 'carol'];
      let pending = subs.length;
      const answers = subs.map(async (sub) => {
        const answer = await post(path, sub);
        pending -= 1;
        return answer;
      });
      while (pending > 0) {
        await delay(5);
        shared.emitter.emit('go');
      }
      expect(await Promise.all(answers)).toEqual(subs.map((sub) => `${sub} ${sub} true`));
    },
  );

  test('a bound listener of a shared emitter', async () => {
    const alice = post('emitter', 'alice');
    await until(() => shared.emitter.listenerCount('go') > 0);
    expect(await post('emit', 'bob')).toBe('emitted');
    expect(await alice).toBe('alice');
  });

  test.each(['bound', 'claims'])('@Sse on a shared subject: %s', async (path) => {
    const streams = await Promise.all(
      ['alice', 'bob'].map(async (sub) => {
        const response = await fetch(`${app.url}/shared/${path}`, {
          headers: await headersOf(sub),
        });
        return { sub, body: response.body!.pipeThrough(new TextDecoderStream()).getReader() };
      }),
    );
    await until(() => shared.events.observed);
    await settled(); // by both
    await post('publish', 'bob');
    for (const { sub, body } of streams) {
      let text = '';
      while (!text.includes('owner')) text += (await body.read()).value ?? '';
      expect([sub, /"owner":"(\w+)"/.exec(text)?.[1]]).toEqual([sub, sub]);
      await body.cancel();
    }
    await until(() => !shared.events.observed);
    if (path !== 'claims') return;
    expect(shared.seen.sort()).toEqual(['finalize alice', 'finalize bob']);
    shared.seen.length = 0;
  });

  test('a listener of the response has the caller, also when the client hangs up', async () => {
    const headers = await headersOf('alice');
    await (await fetch(`${app.url}/shared/close`, { headers })).text();
    await until(() => shared.seen.includes('close alice'));
    shared.seen.length = 0;
    const request = httpRequest(`${app.url}/shared/hang`, { headers });
    request.on('error', () => undefined);
    request.end();
    await until(() => shared.seen.includes('hanging'));
    request.destroy();
    await until(() => shared.seen.includes('close alice'));
    shared.seen.length = 0;
  });
});

describe.each(platforms)('10.14: a caller for the whole request, %s', (platform) => {
  describe.each([true, false])('metadataRoute: %s', (metadataRoute) => {
    let app: RunningApp;
    let shared: Shared;

    beforeAll(async () => {
      app = await startApp(
        {
          imports: [
            AuthplaneModule.forRoot({
              issuer: authorizationServer.issuer,
              resource: RESOURCE,
              devMode: true,
              guard: 'global',
              metadataRoute,
            }),
          ],
          controllers: [WholeController, PerRequestController, EagerController],
          providers: [
            Shared,
            PerRequest,
            Eager,
            { provide: APP_GUARD, useClass: GuardBehind },
            { provide: APP_INTERCEPTOR, useClass: Audit },
          ],
        },
        { platform },
      );
      shared = app.app.get(Shared);
    });
    afterAll(() => app.close());

    const call = async (path: string, sub: string | undefined, method = 'GET') => {
      const response = await fetch(`${app.url}/${path}`, {
        method,
        headers: sub === undefined ? { 'content-type': 'application/json' } : await headersOf(sub),
        // More than one segment, so that reading it takes more than one event.
        ...(method === 'POST' ? { body: JSON.stringify({ a: 'x'.repeat(90_000) }) } : {}),
      });
      const challenge = response.headers.get('www-authenticate');
      return { status: response.status, text: await response.text(), challenge };
    };

    test('10.14a, 9.9e: a guard of AppModule runs behind ours and sees the caller', async () => {
      expect((await call('whole', undefined, 'POST')).status).toBe(401);
      expect((await call('whole', 'mallory', 'POST')).status).toBe(403);
      expect(await call('whole', 'alice', 'POST')).toMatchObject({ text: 'alice alice' });
    });

    test('10.14c: an interceptor of AppModule', async () => {
      shared.seen.length = 0;
      await call('whole', 'alice', 'POST');
      expect(shared.seen).toEqual(['audit alice alice']);
    });

    test('10.14c: a filter', async () => {
      expect((await call('whole/oops', 'alice')).text).toBe('caught for alice');
    });

    test('10.14c: a request-scoped provider, later than its constructor', async () => {
      const { status, text } = await call('per-request', 'alice', 'POST');
      expect([status, text]).toEqual([201, 'undefined alice alice']);
    });

    test('10.14c: no caller here is 500 and never 401', async () => {
      for (const [path, sub] of [
        ['eager', 'alice'],
        ['whole/open', undefined],
        ['whole/open', 'alice'],
      ] as const) {
        expect([path, await call(path, sub)]).toEqual([
          path,
          { status: 500, text: '{"error":"internal_error"}', challenge: null },
        ]);
      }
    });
  });
});
