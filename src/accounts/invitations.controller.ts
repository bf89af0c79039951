import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, MANAGE_ERRORS, Tag, listOf } from '../authentication/describe.js';
import { Caller, CurrentRequest } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Ability, Can } from '../authorization/can.guard.js';
import { ROLES } from '../permissions.js';
import { EmailAddress } from '../users/email-address.js';
import { User } from '../users/user.entity.js';
import { InvitationsService } from './invitations.service.js';
import { MAIL_ERRORS, canonical } from './request-fields.js';

const InvitationRequest = z
  .strictObject({ email: EmailAddress, role: z.enum(ROLES) })
  .meta({ id: 'InvitationRequest', example: { email: 'frank@acme.example', role: 'editor' } });

const InvitationView = z
  .object({
    id: z.string(),
    email: z.string(),
    role: z.string(),
    createdAt: z.date(),
    expiresAt: z.date(),
  })
  .meta({ id: 'Invitation' });

@Controller('invitations')
@Tag('Invitations', 'Invitations into the tenant, by its administrators.')
export class InvitationsController {
  constructor(private readonly invitations: InvitationsService) {}

  /** Mails a link that is valid for seven days. `POST /auth/register/complete` accepts its token. */
  @Post()
  @Describe('Invite a person', {
    response: InvitationView,
    errors: ['403 limited_credential', '403 registration_closed', ...MAIL_ERRORS],
  })
  @Can('create', User)
  async invite(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @CurrentRequest() { ip }: AuthRequest,
    @Body({ schema: InvitationRequest }) { email, role }: z.output<typeof InvitationRequest>,
  ) {
    const invitation = { address: canonical(email), role, ip };
    return InvitationView.parse(await this.invitations.create(caller, ability, invitation));
  }

  @Get()
  @Describe('List invitations', { response: listOf(InvitationView), errors: ['403 limited_credential'] })
  @Can('create', User)
  async listInvitations(@Caller() caller: Principal) {
    return { items: (await this.invitations.list(caller)).map((each) => InvitationView.parse(each)) };
  }

  @Delete(':id')
  @Describe('Revoke an invitation', { errors: [...MANAGE_ERRORS] })
  @Can('create', User)
  @HttpCode(HttpStatus.NO_CONTENT)
  async revokeInvitation(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
  ): Promise<void> {
    await this.invitations.revoke(caller, ability, id);
  }
}
