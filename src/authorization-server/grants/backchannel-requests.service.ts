import { Injectable } from '@nestjs/common';
import type { Account, AdapterPayload, Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { User } from '../../users/user.entity.js';
import { normalizeUsername } from '../../users/username.js';
import { namesAnotherSubject } from '../consent/sign-in-prompt.js';
import { OauthClient } from '../clients/oauth-client.entity.js';
import { errors } from '../provider/oidc-provider.js';
import { OauthRecords } from '../storage/oauth-records.service.js';

/** Limits the prompts for one person: repeated prompts make people approve (MFA fatigue). */
const MAX_PENDING_REQUESTS_PER_USER = 5;

type StoredRequest = InstanceType<Provider['BackchannelAuthenticationRequest']>;

export interface BackchannelRequest {
  /** The row id. oidc-provider's own id, the `auth_req_id`, is a secret of the client. */
  readonly id: string;
  readonly clientId: string;
  readonly expiresAt: Date;
  readonly payload: AdapterPayload;
}

/** Finds the backchannel authentication requests (CIBA) that wait for a person's decision. */
@Injectable()
export class BackchannelRequests {
  constructor(
    private readonly records: OauthRecords,
    private readonly dataSource: DataSource,
  ) {}

  /**
   * Finds the person that a client names, in the client's own tenant only, so that it cannot probe other tenants.
   * @returns the account id; undefined for any other hint
   */
  async findAccount(
    clientId: string,
    hint: { readonly id?: string; readonly username?: string | undefined },
  ): Promise<string | undefined> {
    const client = await this.dataSource.manager.findOne(OauthClient, {
      where: { id: clientId },
      relations: { account: true },
    });
    if (!client?.tenantId || client.account?.disabledAt || !(hint.id ?? hint.username)) return undefined;
    const { tenantId } = client;
    const user = await this.dataSource.manager.findOneBy(User, { ...hint, tenantId, kind: 'user' });
    return user?.id;
  }

  /**
   * Ends a new request of a person who has too many undecided ones.
   * @throws TemporarilyUnavailable
   */
  async checkLimit(request: StoredRequest): Promise<void> {
    const pending = await this.findPending({ accountId: request.accountId! });
    if (pending.length <= MAX_PENDING_REQUESTS_PER_USER) return;
    await request.destroy();
    throw new errors.TemporarilyUnavailable('this person has too many pending requests');
  }

  /** Finds an account's undecided requests. */
  async findPending({ accountId, id }: { accountId: string; id?: string }): Promise<BackchannelRequest[]> {
    const rows = await this.records.findActive('BackchannelAuthenticationRequest', accountId, 'ASC', id);
    return rows
      .map((row) => ({
        id: row.id,
        clientId: row.clientId!,
        expiresAt: row.expiresAt!,
        payload: this.records.decrypt<AdapterPayload>(row),
      }))
      .filter(({ payload }) => !payload.grantId && !payload.error);
  }
}

const MAX_REQUEST_SECONDS = 300;

export const backchannelRequestLifetime = ({ oidc }: KoaContextWithOIDC): number =>
  Math.min(MAX_REQUEST_SECONDS, Number(oidc.params?.['requested_expiry'] ?? MAX_REQUEST_SECONDS));

/** Letters, digits and plain punctuation. Both devices display the message, so that the person recognizes the request. */
const BINDING_MESSAGE = /^[\p{L}\p{N}][\p{L}\p{N} .,:;#_+/!?€$-]{0,63}$/u;

/**
 * Client-initiated backchannel authentication (OpenID CIBA Core 1.0) in poll mode. A person decides at
 * `GET /backchannel-requests` of this API; a product would send a notification to the person's device.
 */
export const backchannelAuthentication = (requests: BackchannelRequests) =>
  ({
    enabled: true,
    deliveryModes: ['poll'],
    processLoginHint: (ctx: KoaContextWithOIDC, hint: string | undefined) =>
      requests.findAccount(ctx.oidc.client!.clientId, { username: normalizeUsername(hint ?? '') }),
    processLoginHintToken: () => {
      throw new errors.InvalidRequest('login_hint_token is not supported');
    },
    // oidc-provider calls this for every kind of hint. An ID token may be of a user of another tenant.
    async verifyUserCode(ctx: KoaContextWithOIDC, { accountId }: Account, userCode: string | undefined) {
      if (namesAnotherSubject(ctx, accountId))
        throw new errors.UnknownUserId('the request names another subject');
      if (userCode !== undefined) throw new errors.InvalidRequest('user_code is not supported');
      if (!(await requests.findAccount(ctx.oidc.client!.clientId, { id: accountId })))
        throw new errors.UnknownUserId('could not identify end-user');
    },
    validateBindingMessage(_ctx: KoaContextWithOIDC, message: string | undefined) {
      if (!BINDING_MESSAGE.test(message ?? ''))
        throw new errors.InvalidBindingMessage(
          'binding_message is required: 1 to 64 letters, digits, spaces and plain punctuation',
        );
    },
    validateRequestContext(_ctx: KoaContextWithOIDC, context: string | undefined) {
      if (context !== undefined) throw new errors.InvalidRequest('request_context is not supported');
    },
    // Checked once the request is stored: of several requests at the same time, each counts the others.
    async triggerAuthenticationDevice(_ctx: KoaContextWithOIDC, request: StoredRequest) {
      await requests.checkLimit(request);
    },
  }) satisfies NonNullable<Configuration['features']>['ciba'];
