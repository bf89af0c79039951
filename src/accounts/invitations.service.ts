import { Injectable, NotFoundException } from '@nestjs/common';
import { DataSource, In, IsNull, MoreThan, type EntityManager } from 'typeorm';
import { AuditPort } from '../authentication/ports.js';
import {
  assertMayManageCredentials,
  type MethodName,
  type Principal,
  type Role,
} from '../authentication/principal.js';
import { AbilityFactory } from '../authorization/ability.factory.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { assertCan } from '../authorization/assert-can.js';
import { Settings } from '../config/settings.js';
import { MailService } from '../mail/mail.service.js';
import { User } from '../users/user.entity.js';
import { AccountToken, type TokenPayloads } from './account-token.entity.js';
import { AccountTokens, invalidMailedToken, type FoundToken } from './account-tokens.service.js';
import { AccountsConfig, registrationClosed } from './accounts.config.js';
import { findByAddress } from './accounts-by-address.js';
import { MailLimits } from './mail-limits.service.js';
import { accountLink, addressTakenMail, invitationMail, mailedRequest } from './mails.js';

const PURPOSE = 'invitation';
const LIFETIME_MS = 7 * 24 * 60 * 60_000;

export interface Invitation {
  readonly id: string;
  readonly email: string;
  readonly role: Role;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** Invites people into the tenant of the caller. An invitation belongs to its inviter, and ends with the inviter's right. */
@Injectable()
export class InvitationsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly config: AccountsConfig,
    private readonly tokens: AccountTokens,
    private readonly limits: MailLimits,
    private readonly mails: MailService,
    private readonly audit: AuditPort,
    private readonly abilities: AbilityFactory,
    private readonly settings: Settings,
  ) {}

  /**
   * Mails a link. The same statements run for an address that is taken, perhaps in another tenant; its holder gets another mail.
   * @param address normalized
   * @throws ForbiddenException `limited_credential`, `forbidden`, `registration_closed`
   * @throws TooManyMails
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async create(
    caller: Principal,
    ability: AppAbility,
    { address, role, ip }: { readonly address: string; readonly role: Role; readonly ip: string },
  ): Promise<Invitation> {
    assertMayManageCredentials(caller);
    const { tenantId } = caller;
    assertCan(ability, 'create', invitedUser({ tenantId, role }));
    if (this.config.registration === 'closed') throw registrationClosed();
    this.mails.assertAvailable();
    await this.limits.count(ip, address);
    const holder = await findByAddress(this.dataSource.manager, address);
    const { id, token } = await this.dataSource.transaction(async (manager) => {
      const earlier = await invitationsOf(manager, tenantId, address);
      await manager.delete(AccountToken, { id: In(earlier.map((each) => each.id)) });
      const row = { accountId: caller.id, address, payload: { tenantId, role } };
      const created = await this.tokens.create(manager, {
        purpose: PURPOSE,
        ...row,
        lifetimeMs: LIFETIME_MS,
      });
      await this.audit.append(manager, {
        event: 'authz_change',
        actor: caller,
        target: `invitation:${created.id}`,
        details: { role },
      });
      return created;
    });
    const request = mailedRequest();
    const link = accountLink(this.settings.publicUrl, 'register', token);
    const mail = holder
      ? addressTakenMail(holder.user.username, request)
      : invitationMail(tenantId, role, link, request);
    this.mails.send({ to: address, ...mail });
    return invitationOf(await this.dataSource.manager.findOneByOrFail(AccountToken, { id }));
  }

  /** The tenant's invitations that can be accepted, the oldest first. */
  async list(caller: Principal): Promise<Invitation[]> {
    assertMayManageCredentials(caller);
    return (await invitationsOf(this.dataSource.manager, caller.tenantId)).map(invitationOf);
  }

  /** @throws NotFoundException */
  async revoke(caller: Principal, ability: AppAbility, id: string): Promise<void> {
    assertMayManageCredentials(caller);
    await this.dataSource.transaction(async (manager) => {
      const invitation = (await invitationsOf(manager, caller.tenantId)).find((each) => each.id === id);
      const payload = invitation?.payload as TokenPayloads[typeof PURPOSE] | undefined;
      if (!payload || !ability.can('create', invitedUser(payload))) throw noInvitation();
      await manager.delete(AccountToken, { id, usedAt: IsNull() });
      await this.audit.append(manager, {
        event: 'authz_change',
        actor: caller,
        target: `invitation:${id}`,
        details: { revoked: true },
      });
    });
  }

  /**
   * Checks the inviter's present right.
   * @throws BadRequestException `invalid_mailed_token`
   */
  async assertInviterMay(
    manager: EntityManager,
    { accountId, payload }: FoundToken<typeof PURPOSE>,
  ): Promise<void> {
    const inviter = await manager.findOneBy(User, { id: accountId ?? '' });
    if (!inviter || inviter.disabledAt || !this.abilityOf(inviter).can('create', invitedUser(payload)))
      throw invalidMailedToken();
  }

  /** As of a sign-in without a second factor, long ago. */
  private abilityOf({ id, kind, tenantId, roles }: User): AppAbility {
    const method = PURPOSE as MethodName;
    const proof = { method, at: new Date(0), amr: [], bound: false };
    return this.abilities.for({ id, kind, tenantId, roles, proofs: [proof] });
  }
}

/** The account that an invitation creates, for the policy. */
const invitedUser = ({ tenantId, role }: TokenPayloads[typeof PURPOSE]): User =>
  Object.assign(new User(), { tenantId, kind: 'user', roles: [role] });

function invitationsOf(manager: EntityManager, tenantId: string, address?: string): Promise<AccountToken[]> {
  return manager.find(AccountToken, {
    where: {
      purpose: PURPOSE,
      account: { tenantId },
      usedAt: IsNull(),
      expiresAt: MoreThan(new Date()),
      ...(address !== undefined && { address }),
    },
    order: { createdAt: 'ASC', id: 'ASC' },
  });
}

const invitationOf = ({ id, address, payload, createdAt, expiresAt }: AccountToken): Invitation => {
  const { role } = payload as TokenPayloads[typeof PURPOSE];
  return { id, email: address, role, createdAt, expiresAt };
};

const noInvitation = () =>
  new NotFoundException({ code: 'not_found', detail: 'Your tenant has no such invitation.' });
