import { Injectable, NotFoundException } from '@nestjs/common';
import { errors } from 'oidc-provider';
import { SECOND_FACTOR, type Principal, type Proof } from '../../authentication/principal.js';
import { assertMayManageCredentials, assertRecentSignIn } from '../../authentication/manage-credentials.js';
import { AuditPort } from '../../authentication/ports.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { PASSWORD_ACR } from '../acr.js';
import { Engine } from '../engine.js';
import { BackchannelRequests, type BackchannelRequest } from './backchannel-requests.js';
import { isScope } from '../../permissions.js';

/** What a person does (RFC 8176). A key proves that a machine holds it. */
const BY_PERSON = ['pwd', 'otp', 'mfa', 'user'];

/** A person's word on what an application asks for. */
@Injectable()
export class BackchannelDecisions {
  constructor(
    private readonly requests: BackchannelRequests,
    private readonly engine: Engine,
    private readonly oneTime: ReplayStore,
    private readonly audit: AuditPort,
  ) {}

  /** @throws ForbiddenException `limited_credential` */
  async list(caller: Principal) {
    assertMayManageCredentials(caller);
    const provider = await this.engine.provider();
    const requests = await this.requests.pending({ accountId: caller.id });
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
   * @throws NotFoundException for one that is not the caller's or decided, exactly as for one that does not exist
   * @throws ForbiddenException `limited_credential`, `reauthentication_required`
   */
  async decide(caller: Principal, id: string, verdict: 'approve' | 'deny'): Promise<void> {
    assertMayManageCredentials(caller);
    const proof = verdict === 'approve' && assertRecentSignIn(caller, isByPerson);
    const [request] = await this.requests.pending({ accountId: caller.id, id });
    // Of two who decide at once, the first does.
    if (!request || !(await this.oneTime.use('oauth backchannel decision', id, request.expiresAt)))
      throw new NotFoundException({ code: 'not_found', detail: 'You have no such request.' });
    if (proof) await this.approve(request, proof);
    else await this.result(request, new errors.AccessDenied('the person said no'));
    await this.audit.record({
      event: 'authz_change',
      actor: caller,
      target: `oauth-client:${request.clientId}`,
      details: { backchannel: verdict, scopes: request.payload.scope ?? '' },
    });
  }

  private async approve(request: BackchannelRequest, { at, amr }: Proof): Promise<void> {
    const { accountId, clientId, scope = '', resource } = request.payload;
    const provider = await this.engine.provider();
    const grant = new provider.Grant({ accountId: accountId!, clientId: clientId! });
    const scopes = scope.split(' ');
    const ofApi = scopes.filter(isScope);
    grant.addOIDCScope(scopes.filter((each) => !ofApi.includes(each)).join(' '));
    for (const each of [resource ?? []].flat()) grant.addResourceScope(each, ofApi.join(' '));
    await grant.save();
    await this.result(request, grant, {
      authTime: Math.floor(at.getTime() / 1000),
      amr: [...amr],
      acr: amr.includes(SECOND_FACTOR) ? SECOND_FACTOR : PASSWORD_ACR,
    });
  }

  private async result({ payload }: BackchannelRequest, ...result: unknown[]): Promise<void> {
    const provider = await this.engine.provider();
    await provider.backchannelResult(payload.jti!, ...(result as [never, never]));
  }
}

const isByPerson = ({ amr }: Proof): boolean => amr.some((each) => BY_PERSON.includes(each));
