import { Injectable, NotFoundException } from '@nestjs/common';
import { acrFor, provesPerson } from '../../authentication/factors.js';
import { AuditPort } from '../../authentication/ports.js';
import { type Principal, type Proof, assertMayManageCredentials } from '../../authentication/principal.js';
import { assertRecentSignIn } from '../../authentication/step-up.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { isScope } from '../../permissions.js';
import { acceptedAcrs } from '../consent/sign-in-prompt.js';
import { errors } from '../provider/oidc-provider.js';
import { OidcProviderService } from '../provider/oidc-provider.service.js';
import { withRequestState } from '../provider/provider-request.js';
import { BackchannelRequests, type BackchannelRequest } from './backchannel-requests.service.js';

/** Lets a person list and decide the backchannel authentication requests of applications. */
@Injectable()
export class BackchannelAuthentication {
  constructor(
    private readonly requests: BackchannelRequests,
    private readonly oidc: OidcProviderService,
    private readonly replays: ReplayStore,
    private readonly audit: AuditPort,
  ) {}

  /** @throws ForbiddenException `limited_credential` */
  async list(caller: Principal) {
    assertMayManageCredentials(caller);
    const provider = await this.oidc.provider();
    const requests = await this.requests.findPending({ accountId: caller.id });
    return Promise.all(
      requests.map(async ({ id, clientId, expiresAt, payload }) => ({
        id,
        client: { id: clientId, name: (await provider.Client.find(clientId))?.clientName ?? clientId },
        bindingMessage: payload.params?.['binding_message'],
        scopes: payload.scope?.split(' ') ?? [],
        expiresAt,
      })),
    );
  }

  /**
   * @throws NotFoundException if the caller has no such undecided request
   * @throws ForbiddenException `limited_credential`, `reauthentication_required`
   */
  async decide(caller: Principal, id: string, decision: 'approve' | 'deny'): Promise<void> {
    assertMayManageCredentials(caller);
    const [request] = await this.requests.findPending({ accountId: caller.id, id });
    const acrs = acceptedAcrs(request?.payload.params ?? {});
    const signIn = decision === 'approve' ? assertRecentSignIn(caller, isByPerson, acrs) : undefined;
    // The first of two concurrent decisions counts.
    if (!request || !(await this.replays.use('oauth backchannel decision', id, request.expiresAt)))
      throw new NotFoundException({ code: 'not_found', detail: 'You have no such request.' });
    await withRequestState(undefined, () =>
      signIn
        ? this.approve(request, signIn)
        : this.saveResult(request, new errors.AccessDenied('the person denied the request')),
    );
    await this.audit.record({
      event: 'authz_change',
      actor: caller,
      target: `oauth-client:${request.clientId}`,
      details: { backchannel: decision, scopes: request.payload.scope ?? '' },
    });
  }

  private async approve(request: BackchannelRequest, { at, amr }: Proof): Promise<void> {
    const { accountId, clientId, scope = '', resource } = request.payload;
    const provider = await this.oidc.provider();
    const grant = new provider.Grant({ accountId: accountId!, clientId: clientId! });
    const scopes = scope.split(' ');
    const apiScopes = scopes.filter(isScope);
    grant.addOIDCScope(scopes.filter((each) => !apiScopes.includes(each)).join(' '));
    for (const each of [resource ?? []].flat()) grant.addResourceScope(each, apiScopes.join(' '));
    await grant.save();
    const acrs = acceptedAcrs(request.payload.params ?? {});
    await this.saveResult(request, grant, {
      authTime: Math.floor(at.getTime() / 1000),
      amr: [...amr],
      acr: acrFor(amr, acrs),
    });
  }

  private async saveResult({ payload }: BackchannelRequest, ...result: unknown[]): Promise<void> {
    const provider = await this.oidc.provider();
    await provider.backchannelResult(payload.jti!, ...(result as [never, never]));
  }
}

const isByPerson = ({ amr }: Proof): boolean => provesPerson(amr);
