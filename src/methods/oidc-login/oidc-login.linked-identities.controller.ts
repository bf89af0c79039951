import { Body, Controller, Delete, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import { assertMayManageCredentials, assertRecentSignIn } from '../../authentication/manage-credentials.js';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import type { MethodName, Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { User } from '../../users/user.entity.js';
import { OidcCeremony } from './oidc-login.service.js';
import { Identities } from './oidc-login.linked-identities.service.js';
import { isLocalPath } from './oidc-login.js';
import { Providers } from './oidc-login.providers.service.js';
import { identityView } from './oidc-login.view.js';

const Link = z
  .strictObject({
    returnTo: z.string().refine(isLocalPath, 'Must be a path of this origin, as /documents.').optional(),
  })
  .prefault({});

/** The identities at providers that open the caller's account. */
@Controller()
@SelfService()
export class OidcIdentitiesController {
  constructor(
    private readonly providers: Providers,
    private readonly ceremony: OidcCeremony,
    private readonly identities: Identities,
    private readonly issuers: IssuerRegistry,
    private readonly dataSource: DataSource,
  ) {}

  /** Begins to link one more. A page sends its browser to `url`, in which the caller says who they are there. */
  @Post('auth/oidc/:provider/link')
  @HttpCode(200)
  async link(
    @Param('provider') id: string,
    @Body({ schema: Link }) { returnTo }: z.output<typeof Link>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<{ url: string }> {
    const provider = this.providers.find(id);
    const as = this.freshlyBy(caller);
    if (caller.tenantId !== provider.tenant)
      throw new NotFoundException({
        code: 'unknown_provider',
        detail: 'That provider opens no accounts of your tenant.',
      });
    const { epoch } = await this.dataSource.manager.findOneByOrFail(User, { id: caller.id });
    const goal = { kind: 'link', userId: caller.id, epoch } as const;
    return { url: (await this.ceremony.begin(provider, { as, goal, returnTo }, request)).href };
  }

  @Get('oidc-identities')
  async list(@Caller() caller: Principal) {
    assertMayManageCredentials(caller);
    return { items: (await this.identities.list(caller)).map(identityView) };
  }

  /** Unlinks one. Every sign-in of the account ends; the answer is a fresh one, so that the caller goes on. */
  @Delete('oidc-identities/:id')
  async unlink(
    @Param('id') id: string,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    const as = this.freshlyBy(caller);
    const epoch = await this.identities.unlink(caller, id);
    return this.issuers.find(as)!.issue(caller, request, epoch);
  }

  /**
   * The method whose sign-in the caller sent.
   * @throws ForbiddenException `limited_credential` for a limited one, `reauthentication_required` for one that is old, or
   *   for a credential that is no sign-in: a key that was found must not open a second door
   */
  private freshlyBy(caller: Principal): MethodName {
    assertMayManageCredentials(caller);
    return assertRecentSignIn(caller, ({ method }) => this.issuers.names.includes(method)).method;
  }
}
