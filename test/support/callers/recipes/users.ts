import { Controller, Get, Injectable } from '@nestjs/common';
import { AuthContext, CurrentUser, type VerifiedClaims } from 'authplane-nestjs';

/** Yours: one row a person, with the `sub` that the authorization server knows them by. */
export interface UserRow {
  readonly id: number;
  readonly sub: string;
  readonly roles: readonly string[];
}

export abstract class UserTable {
  abstract findBySub(sub: string): Promise<UserRow | null>;
}

/** For `user: { load: (claims) => users.of(claims), cacheSeconds: 30 }`. */
@Injectable()
export class Users {
  constructor(private readonly table: UserTable) {}

  /** `null` for whoever is gone: 403. */
  of({ sub }: VerifiedClaims): Promise<UserRow | null> {
    return this.table.findBySub(sub);
  }
}

@Injectable()
export class Greetings {
  constructor(private readonly caller: AuthContext<UserRow>) {}

  greet(): string {
    return `you are number ${this.caller.user.id}`;
  }
}

@Controller('me')
export class MeController {
  constructor(private readonly greetings: Greetings) {}

  @Get()
  me(@CurrentUser() user: UserRow) {
    return { roles: user.roles, greeting: this.greetings.greet() };
  }
}
