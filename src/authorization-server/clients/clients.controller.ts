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
import { z } from 'zod';
import { Describe, Tag, listOf, text } from '../../authentication/describe.js';
import { Caller, SelfService } from '../../authentication/plan.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import { errors } from '../provider/oidc-provider.js';
import { ClientAdministration } from './client-administration.service.js';

/** Client metadata (RFC 7591 section 2), which oidc-provider validates, and the client's machine account. */
const NewClient = z
  .looseObject({
    account: text(36).optional(),
    client_id: z.never('is chosen by the server').optional(),
    client_secret: z.never('is chosen by the server').optional(),
  })
  .meta({
    id: 'OauthClientRequest',
    example: { client_name: 'App', redirect_uris: ['https://app.example/callback'] },
  });

/** Client metadata (RFC 7591 section 2). */
const ClientView = z
  .looseObject({ client_id: z.string(), account: z.string().optional() })
  .meta({ id: 'OauthClient' });
const NewInitialAccessToken = z
  .strictObject({ allow_relaxed_settings: z.boolean().default(false) })
  .prefault({})
  .meta({ id: 'InitialAccessTokenRequest', example: { allow_relaxed_settings: true } });
const InitialAccessToken = z
  .object({ initial_access_token: z.string(), expires_in: z.int() })
  .meta({ id: 'InitialAccessToken' });
const MANAGE_ERRORS = ['403 limited_credential', '403 forbidden'] as const;
const CLIENT_ERRORS = [
  ...MANAGE_ERRORS,
  '422 invalid_account',
  '422 invalid_client_metadata',
  '422 invalid_redirect_uri',
] as const;

/** The client API for administrators. The policy has no rule for clients, so this controller checks the role. */
@Controller('oauth')
@Tag(
  'Authorization server',
  'OAuth clients, consents and back-channel requests. Its protocol endpoints are below `/oidc`.',
)
@SelfService()
export class ClientsController {
  constructor(private readonly administration: ClientAdministration) {}

  /** Responds as RFC 7591 section 3.2.1 says. The secret is returned only here. */
  @Post('clients')
  @Describe('Register an OAuth client', { response: ClientView, errors: CLIENT_ERRORS })
  async createClient(
    @Caller() caller: Principal,
    @Body({ schema: NewClient }) { account, ...metadata }: z.output<typeof NewClient>,
  ) {
    assertMayManageClients(caller);
    return this.administration.create(caller, metadata, account).catch(rethrowAsProblem);
  }

  @Get('clients')
  @Describe('List OAuth clients', { response: listOf(ClientView), errors: MANAGE_ERRORS })
  async listClients(@Caller() caller: Principal) {
    assertMayManageClients(caller);
    return { items: await this.administration.list(caller) };
  }

  /** Removes the client with all its tokens and consents. */
  @Delete('clients/:id')
  @Describe('Delete an OAuth client with its tokens', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  async deleteClient(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    assertMayManageClients(caller);
    if (!(await this.administration.remove(caller, id)))
      throw new NotFoundException({ code: 'not_found', detail: 'Your tenant has no such client.' });
  }

  @Post('initial-access-tokens')
  @Describe('Issue a token for one dynamic registration', {
    response: InitialAccessToken,
    errors: MANAGE_ERRORS,
  })
  async createInitialAccessToken(
    @Caller() caller: Principal,
    @Body({ schema: NewInitialAccessToken }) request: z.output<typeof NewInitialAccessToken>,
  ) {
    assertMayManageClients(caller);
    return this.administration.issueInitialAccessToken(caller, request.allow_relaxed_settings);
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
