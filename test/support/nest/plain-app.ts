import { Controller, Get, type ModuleMetadata, Post, UseGuards } from '@nestjs/common';
import {
  AnyScope,
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleOptions,
  Claims,
  Public,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';

/** Plain routes with every kind of requirement. */
@Controller('things')
@UseGuards(AuthplaneGuard)
export class ThingsController {
  constructor(private readonly caller: AuthContext) {}

  @Get()
  list(@Claims() claims: VerifiedClaims) {
    return { sub: claims.sub, fromContext: this.caller.claims.sub };
  }

  @Post()
  @Scopes('things:write')
  write() {
    return { written: true };
  }

  @Get('audit')
  @Scopes('things:read', 'audit:read')
  audit() {
    return { audited: true };
  }

  @Get('any')
  @AnyScope('things:read', 'things:admin')
  any() {
    return { read: true };
  }

  @Get('late')
  late() {
    this.caller.requireScope('late:scope');
    return { late: true };
  }

  @Get('open')
  @Public()
  open(@Claims() claims: VerifiedClaims | undefined) {
    return { caller: claims?.sub ?? null };
  }
}

export function plainApp(options: AuthplaneModuleOptions): ModuleMetadata {
  return {
    imports: [AuthplaneModule.forRootAsync({ useFactory: () => options })],
    controllers: [ThingsController],
  };
}
