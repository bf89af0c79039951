import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { Factor } from '../../authentication/method.js';
import { AuditPort, LastUsedPort, NoticePort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { AccountFactors } from '../../users/account-factors.service.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import { Tenant, User } from '../../users/user.entity.js';
import type { OidcProvider } from './oidc-login.config.js';
import { OidcIdentity } from './oidc-login.entity.js';
import { z } from 'zod';

/** A user at a provider. `sub` is unique only together with `iss`. */
export interface ProviderSubject {
  readonly iss: string;
  readonly sub: string;
}

export type IdentityWithUser = OidcIdentity & { readonly user: User };

/** Links accounts with identities at providers. Looks identities up by `iss` and `sub`, never by e-mail address or name. */
@Injectable()
export class LinkedIdentities implements Factor {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly lastUsed: LastUsedPort,
    private readonly factors: AccountFactors,
    private readonly notices: NoticePort,
  ) {}

  readonly isEnrolled: Factor['isEnrolled'] = (manager, userId) =>
    (manager as EntityManager).existsBy(OidcIdentity, { userId });

  async find({ iss, sub }: ProviderSubject): Promise<IdentityWithUser | undefined> {
    const identity = await this.dataSource.manager.findOne(OidcIdentity, {
      where: { issuer: iss, subject: sub },
      relations: { user: true },
    });
    return identity?.user && { ...identity, user: identity.user };
  }

  recordUse({ id, lastUsedAt }: OidcIdentity): void {
    this.lastUsed.touch(OidcIdentity, 'lastUsedAt', id, lastUsedAt);
  }

  /**
   * Creates an account for an unknown identity. The username is generated: one from the provider could imitate another
   * user's. Concurrent calls for the same identity return the same account.
   */
  async createAccount(
    provider: OidcProvider,
    roles: User['roles'],
    subject: ProviderSubject,
  ): Promise<IdentityWithUser | undefined> {
    const id = randomUUID();
    const user = { id, username: `${provider.id}.${id}`, tenantId: provider.tenant, roles: [...roles] };
    try {
      await this.dataSource.transaction(async (manager) => {
        const tenant = { id: provider.tenant, name: provider.tenant };
        await manager.createQueryBuilder().insert().into(Tenant).values(tenant).orIgnore().execute();
        await manager.insert(User, { ...user, kind: 'user', disabledAt: null, epoch: 0 });
        await insertIdentity(manager, provider, id, subject);
        await this.audit.append(manager, {
          event: 'sensitive_create',
          actor: user,
          method: 'oidc-login',
          target: `user:${id}`,
          details: { provider: provider.id, roles: user.roles },
        });
      });
    } catch (error) {
      const concurrent = await this.find(subject);
      if (!concurrent) throw error;
      return concurrent;
    }
    return this.find(subject);
  }

  /** @throws ConflictException `identity_already_linked` if it is linked to another account */
  async link(provider: OidcProvider, account: User, subject: ProviderSubject): Promise<OidcIdentity> {
    const existing = await this.find(subject);
    if (existing) return assertOwner(existing, account);
    try {
      const linked = await this.dataSource.transaction(async (manager) => {
        const identity = await insertIdentity(manager, provider, account.id, subject);
        await this.audit.append(manager, {
          event: 'authn_token_created',
          actor: account,
          method: 'oidc-login',
          target: `oidc-identity:${identity.id}`,
          details: { provider: provider.id },
        });
        return identity;
      });
      this.notices.send(account.id, 'factor_added');
      return linked;
    } catch (error) {
      const concurrent = await this.find(subject);
      if (!concurrent) throw error;
      return assertOwner(concurrent, account);
    }
  }

  list({ id }: Principal): Promise<OidcIdentity[]> {
    return this.dataSource.manager.find(OidcIdentity, {
      where: { userId: id },
      order: { createdAt: 'ASC', id: 'ASC' },
    });
  }

  /**
   * Removes an identity and ends all sign-ins of the account, because sessions and tokens do not record the identity
   * that they began with.
   *
   * @returns the account's new `epoch`
   * @throws NotFoundException if the caller has no such identity
   * @throws ConflictException `last_sign_in_method`
   */
  async unlink(caller: Principal, id: string): Promise<number> {
    const changed = await this.dataSource.transaction(async (manager) => {
      await this.factors.lock(manager, caller.id);
      const { affected } = await manager.delete(OidcIdentity, { id, userId: caller.id });
      if (!affected) throw new NotFoundException({ code: 'not_found', detail: 'You have no such identity.' });
      await this.factors.assertCanSignIn(manager, caller.id);
      const epoch = await endAllSignIns(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `oidc-identity:${id}`,
      });
      return epoch;
    });
    this.notices.send(caller.id, 'factor_removed');
    return changed;
  }
}

/** The fields of an identity that its owner may see. */
export const IdentityView = z
  .object({
    id: z.string(),
    provider: z.string(),
    issuer: z.string(),
    subject: z.string(),
    createdAt: z.date(),
    lastUsedAt: z.date().nullable(),
  })
  .meta({ id: 'Identity' });
export const identityView = (identity: OidcIdentity) => IdentityView.parse(identity);

async function insertIdentity(
  manager: EntityManager,
  provider: OidcProvider,
  userId: string,
  { iss: issuer, sub: subject }: ProviderSubject,
): Promise<OidcIdentity> {
  const identity: OidcIdentity = {
    id: randomUUID(),
    userId,
    issuer,
    subject,
    provider: provider.id,
    createdAt: new Date(),
    lastUsedAt: null,
  };
  await manager.insert(OidcIdentity, identity);
  return identity;
}

function assertOwner(identity: OidcIdentity, account: User): OidcIdentity {
  if (identity.userId === account.id) return identity;
  throw new ConflictException({
    code: 'identity_already_linked',
    detail: 'This identity is already linked to another account.',
  });
}
