import { Injectable } from '@nestjs/common';
import { Tool } from '@rekog/mcp-nest';
import { Allow, type AllowRule, Scopes } from 'authplane-nestjs';

/** The row of your user. */
export interface MemberRow {
  readonly roles: readonly string[];
}

/** Of the user that the option `user` has loaded. */
export const isMember: AllowRule<MemberRow> = ({ user }, operation) => {
  const { arguments: args } = (operation?.params ?? {}) as { arguments?: { org?: unknown } };
  return typeof args?.org === 'string' && user.roles.includes(`member:${args.org}`);
};

@Injectable()
export class OrgNotes {
  @Tool({ name: 'org_notes', description: 'Notes of an organisation' })
  @Scopes('notes:read')
  @Allow(isMember)
  list() {
    return { content: [{ type: 'text', text: 'notes' }] };
  }
}
