import { createHash } from 'node:crypto';
import {
  Body,
  type CallHandler,
  Catch,
  type ArgumentsHost,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Injectable,
  type ModuleMetadata,
  type NestInterceptor,
  Post,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import {
  AuthContext,
  AuthplaneClient,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleOptions,
  Claims,
  type FetchAsRequest,
  OAuthError,
  type VerifiedClaims,
} from 'authplane-nestjs';

/** What a handler of the gateway does when it is called. */
export type GatewayTask = (client: AuthplaneClient, caller: AuthContext) => Promise<unknown>;

/** The tasks of a gateway by name; a test puts them there. */
export class GatewayTasks extends Map<string, GatewayTask> {}

/** A server whose guarded handlers call others on behalf of their caller. */
@Controller('gateway')
@UseGuards(AuthplaneGuard)
class GatewayController {
  constructor(
    private readonly client: AuthplaneClient,
    private readonly caller: AuthContext,
    private readonly tasks: GatewayTasks,
  ) {}

  @Get('me')
  me(@Claims() claims: VerifiedClaims) {
    return { sub: claims.sub };
  }

  @Post('run')
  async run(@Body() body: { readonly task: string }) {
    const task = this.tasks.get(body.task);
    if (task === undefined) throw new Error(`there is no task ${body.task}`);
    return { result: await task(this.client, this.caller) };
  }
}

/** As an application may do it: what the authorization server refuses is a bad gateway. */
@Catch(OAuthError)
@Injectable()
class OAuthErrorFilter implements ExceptionFilter<OAuthError> {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(error: OAuthError, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<object>();
    const { cause } = error; // what the authorization server said is there only
    const statusCode = cause instanceof OAuthError ? cause.statusCode : undefined;
    const body = { code: error.code, statusCode };
    this.adapterHost.httpAdapter.reply(response, body, 502);
  }
}

export function gateway(options: AuthplaneModuleOptions, tasks: GatewayTasks): ModuleMetadata {
  return {
    imports: [AuthplaneModule.forRootAsync({ useFactory: () => options })],
    controllers: [GatewayController],
    providers: [
      { provide: GatewayTasks, useValue: tasks },
      { provide: APP_FILTER, useClass: OAuthErrorFilter },
    ],
  };
}

/** A task that calls another service and hands its answer back. */
export function callService(request: Omit<FetchAsRequest, 'subjectToken'>): GatewayTask {
  return async (client, { token }) => {
    const response = await client.fetchAs({ ...request, subjectToken: token });
    return { status: response.status, body: await response.json() };
  };
}

/** Everything that reached the other service, whatever became of it. */
export class Received {
  /** Request lines and headers as they came over the wire, and bodies. */
  readonly requests: string[] = [];
  /** SHA-256 of the tokens, in the order in which they came. */
  readonly tokens: string[] = [];
}

export function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

interface WireRequest {
  readonly raw?: WireRequest;
  readonly method?: string;
  readonly url?: string;
  readonly rawHeaders?: readonly string[];
  readonly body?: unknown;
}

/** Bodies are parsed after middleware has run. */
@Injectable()
class BodyRecorder implements NestInterceptor {
  constructor(private readonly received: Received) {}

  intercept(context: ExecutionContext, next: CallHandler) {
    const { body } = context.switchToHttp().getRequest<WireRequest>();
    this.received.requests.push(JSON.stringify(body ?? null));
    return next.handle();
  }
}

/** The other service: orders of the user whose token it gets. */
@Controller('orders')
@UseGuards(AuthplaneGuard)
@UseInterceptors(BodyRecorder)
class OrdersController {
  @Get()
  list(@Claims() claims: VerifiedClaims) {
    return described(claims);
  }

  @Post()
  order(@Claims() claims: VerifiedClaims, @Body() body: unknown) {
    return { ...described(claims), ordered: body };
  }
}

function described({ sub, clientId, audience, scopes, act, dpopProof, raw }: VerifiedClaims) {
  return { sub, clientId, audience, scopes, act, proofKey: dpopProof?.jkt, cnf: raw['cnf'] };
}

export function orders(options: AuthplaneModuleOptions, received: Received): ModuleMetadata {
  return {
    // what it is sent is counted, so it does not ask itself
    imports: [
      AuthplaneModule.forRootAsync({ useFactory: () => ({ ...options, selfCheck: false }) }),
    ],
    controllers: [OrdersController],
    providers: [{ provide: Received, useValue: received }, BodyRecorder],
  };
}

/** Middleware for `configure`: notes request line, headers and token before any guard. */
export function receiveInto(received: Received) {
  return (request: WireRequest, _response: unknown, next: () => void): void => {
    const { method = '', url = '', rawHeaders = [] } = request.raw ?? request;
    received.requests.push([method, url, ...rawHeaders].join('\n'));
    const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization');
    const [, token] = (rawHeaders[at + 1] ?? '').split(' ');
    received.tokens.push(fingerprint(token ?? ''));
    next();
  };
}
