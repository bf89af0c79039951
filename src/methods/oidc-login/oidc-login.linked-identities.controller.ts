import { Body, Controller, Delete, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import { Describe, Issued, RECENT_SIGN_IN_ERRORS, listOf } from '../../authentication/describe.js';
import { Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import {
  type MethodName,
  type Principal,
  assertMayManageCredentials,
} from '../../authentication/principal.js';
import { LocalPath } from '../../authentication/local-path.js';
import type { AuthRequest } from '../../authentication/request.js';
import { assertRecentSignIn } from '../../authentication/step-up.js';
import { User } from '../../users/user.entity.js';
import { IdentityView, LinkedIdentities, identityView } from './oidc-login.linked-identities.service.js';
import { OidcProviders } from './oidc-login.providers.service.js';
import { OidcLoginService } from './oidc-login.service.js';

const LinkRequest = z
  .strictObject({
    returnTo: LocalPath.optional(),
  })
  .meta({ id: 'IdentityLink', example: { returnTo: '/documents' } })
  .prefault({});

/** The caller's own linked identities. */
@Controller()
@SelfService()
export class LinkedIdentitiesController {
  constructor(
    private readonly providers: OidcProviders,
    private readonly login: OidcLoginService,
    private readonly identities: LinkedIdentities,
    private readonly issuers: IssuerRegistry,
    private readonly dataSource: DataSource,
  ) {}

  /** Starts linking an identity. A page sends its browser to `url`, where the user signs in at the provider. */
  @Post('auth/oidc/:provider/link')
  @Describe('Start linking an identity', {
    response: z.object({ url: z.url() }),
    headers: ['Set-Cookie'],
    errors: [
      ...RECENT_SIGN_IN_ERRORS,
      '404 unknown_provider',
      '502 provider_error',
      '503 provider_unavailable',
    ],
  })
  @HttpCode(200)
  async linkIdentity(
    @Param('provider') id: string,
    @Body({ schema: LinkRequest }) { returnTo }: z.output<typeof LinkRequest>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<{ url: string }> {
    const as = this.recentSignIn(caller);
    const provider = this.providers.find(id);
    if (caller.tenantId !== provider.tenant)
      throw new NotFoundException({
        code: 'unknown_provider',
        detail: 'This provider is not configured for your tenant.',
      });
    const { epoch } = await this.dataSource.manager.findOneByOrFail(User, { id: caller.id });
    const purpose = { kind: 'link', userId: caller.id, epoch } as const;
    const url = await this.login.start(provider, { as, purpose, returnTo }, request);
    return { url: url.href };
  }

  @Get('oidc-identities')
  @Describe('List linked identities', { response: listOf(IdentityView), errors: ['403 limited_credential'] })
  async listIdentities(@Caller() caller: Principal) {
    assertMayManageCredentials(caller);
    return { items: (await this.identities.list(caller)).map(identityView) };
  }

  /** Unlinks an identity and ends all sign-ins of the account. Responds with a new credential for the caller. */
  @Delete('oidc-identities/:id')
  @Describe('Unlink an identity', {
    response: Issued,
    errors: [...RECENT_SIGN_IN_ERRORS, '409 last_sign_in_method'],
  })
  async unlinkIdentity(
    @Param('id') id: string,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    const as = this.recentSignIn(caller);
    const epoch = await this.identities.unlink(caller, id);
    return this.issuers.find(as)!.issue(caller, request, epoch);
  }

  /**
   * Returns the method of the caller's recent sign-in. A stolen key or an old session must not add a way to sign in.
   * @throws ForbiddenException `limited_credential`, `reauthentication_required`
   */
  private recentSignIn(caller: Principal): MethodName {
    assertMayManageCredentials(caller);
    return assertRecentSignIn(caller, ({ method }) => this.issuers.names.includes(method)).method;
  }
}
