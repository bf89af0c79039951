import {
  Body,
  Controller,
  Delete,
  ForbiddenException,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  Post,
  UnprocessableEntityException,
} from '@nestjs/common';
import { errors } from 'oidc-provider';
import { z } from 'zod';
import { Caller, SelfService } from '../authentication/plan.js';
import { assertMayManageCredentials } from '../authentication/manage-credentials.js';
import type { Principal } from '../authentication/principal.js';
import { ClientAdministration } from './client-administration.js';

/** RFC 7591's metadata, which the engine validates, and whose account the client is when it calls in its own name. */
const NewClient = z.looseObject({
  account: z.string().max(36).optional(),
  client_id: z.never('is for the server to choose').optional(),
  client_secret: z.never('is for the server to choose').optional(),
});

/** What administrators do with clients. There is no rule for it in the policy: a client is no resource of a tenant's data. */
@Controller('oauth')
@SelfService()
export class ClientsController {
  constructor(private readonly administration: ClientAdministration) {}

  /** Answers as RFC 7591, section 3.2.1, with the secret, which is not shown again. */
  @Post('clients')
  async add(
    @Caller() caller: Principal,
    @Body({ schema: NewClient }) { account, ...metadata }: z.output<typeof NewClient>,
  ) {
    assertMayManageClients(caller);
    return this.administration.add(caller, metadata, account).catch(tellCaller);
  }

  @Get('clients')
  async list(@Caller() caller: Principal) {
    assertMayManageClients(caller);
    return { items: await this.administration.list(caller) };
  }

  /** Ends it with all that it was given. */
  @Delete('clients/:id')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    assertMayManageClients(caller);
    if (!(await this.administration.remove(caller, id)))
      throw new NotFoundException({ code: 'not_found', detail: 'Your tenant has no such client.' });
  }

  /** For one client that registers itself (RFC 7591, section 3). */
  @Post('initial-access-tokens')
  async invite(@Caller() caller: Principal) {
    assertMayManageClients(caller);
    return this.administration.invite(caller);
  }
}

/** @throws ForbiddenException `limited_credential`; `forbidden` for a caller who is not an admin */
function assertMayManageClients(caller: Principal): void {
  assertMayManageCredentials(caller);
  if (!caller.roles.includes('admin'))
    throw new ForbiddenException({ code: 'forbidden', detail: 'Only an admin manages clients.' });
}

function tellCaller(error: unknown): never {
  if (!(error instanceof errors.InvalidClientMetadata)) throw error;
  const { error: code, error_description: detail } = error;
  throw new UnprocessableEntityException({ code, detail });
}
