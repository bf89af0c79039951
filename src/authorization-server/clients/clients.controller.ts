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
import { Caller, SelfService } from '../../authentication/plan.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import { ClientAdministration } from './client-administration.service.js';

/** Client metadata (RFC 7591 section 2), which oidc-provider validates, and the client's machine account. */
const NewClient = z.looseObject({
  account: z.string().max(36).optional(),
  client_id: z.never('is chosen by the server').optional(),
  client_secret: z.never('is chosen by the server').optional(),
});

/** The client API for administrators. The policy has no rule for clients, so this controller checks the role. */
@Controller('oauth')
@SelfService()
export class ClientsController {
  constructor(private readonly administration: ClientAdministration) {}

  /** Responds as RFC 7591 section 3.2.1 says. The secret is returned only here. */
  @Post('clients')
  async create(
    @Caller() caller: Principal,
    @Body({ schema: NewClient }) { account, ...metadata }: z.output<typeof NewClient>,
  ) {
    assertMayManageClients(caller);
    return this.administration.create(caller, metadata, account).catch(rethrowAsProblem);
  }

  @Get('clients')
  async list(@Caller() caller: Principal) {
    assertMayManageClients(caller);
    return { items: await this.administration.list(caller) };
  }

  /** Removes the client with all its tokens and consents. */
  @Delete('clients/:id')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    assertMayManageClients(caller);
    if (!(await this.administration.remove(caller, id)))
      throw new NotFoundException({ code: 'not_found', detail: 'Your tenant has no such client.' });
  }

  @Post('initial-access-tokens')
  async issueInitialAccessToken(@Caller() caller: Principal) {
    assertMayManageClients(caller);
    return this.administration.issueInitialAccessToken(caller);
  }
}

/** @throws ForbiddenException `limited_credential`; `forbidden` for a caller who is not an administrator */
function assertMayManageClients(caller: Principal): void {
  assertMayManageCredentials(caller);
  if (!caller.roles.includes('admin'))
    throw new ForbiddenException({ code: 'forbidden', detail: 'Only an administrator may manage clients.' });
}

function rethrowAsProblem(error: unknown): never {
  if (!(error instanceof errors.InvalidClientMetadata)) throw error;
  const { error: code, error_description: detail } = error;
  throw new UnprocessableEntityException({ code, detail });
}
