import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort, LastUsedPort } from '../../authentication/ports.js';
import { nullableDateFromRow } from '../../database/raw-dates.js';
import { Tenant, User } from '../../users/user.entity.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../../users/user-row.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import type { Provider } from './oidc-login.config.js';
import { OidcIdentity } from './oidc-login.entity.js';

/** Who somebody is: neither half alone names anybody. */
export interface Subject {
  readonly iss: string;
  readonly sub: string;
}

/** An identity with its account as it stands now. */
export interface Found {
  readonly id: string;
  readonly user: User;
  readonly lastUsedAt: Date | null;
}

type Row = UserRow & { readonly id: string; readonly lastUsedAt: Date | string | null };

/** Which account an identity opens. It is found by issuer and subject, and by nothing else that a provider says. */
@Injectable()
export class Identities {
  private readonly sql: string;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly lastUsed: LastUsedPort,
  ) {
    const parameter = (name: string, index: number) => dataSource.driver.createParameter(name, index);
    this.sql =
      `SELECT identity.id AS id, identity."lastUsedAt" AS "lastUsedAt", ${USER_COLUMNS} FROM oidc_identities identity ` +
      `JOIN users account ON account.id = identity."userId" ` +
      `WHERE identity.issuer = ${parameter('issuer', 0)} AND identity.subject = ${parameter('subject', 1)}`;
  }

  async find({ iss, sub }: Subject): Promise<Found | undefined> {
    const [row] = await this.dataSource.query<Row[]>(this.sql, [iss, sub]);
    return row && { id: row.id, user: userFromRow(row), lastUsedAt: nullableDateFromRow(row.lastUsedAt) };
  }

  /** Somebody signs in by it. */
  used({ id, lastUsedAt }: Found): void {
    this.lastUsed.touch(OidcIdentity, 'lastUsedAt', id, lastUsedAt);
  }

  /**
   * A new account for somebody whom none knows. Its name is made here: one that the provider gave could be made to look
   * like somebody else's. Of two at the same moment, both get the same one.
   */
  async create(provider: Provider, roles: User['roles'], subject: Subject): Promise<Found | undefined> {
    const id = randomUUID();
    const user = { id, username: `${provider.id}.${id}`, tenantId: provider.tenant, roles: [...roles] };
    try {
      await this.dataSource.transaction(async (manager) => {
        const tenant = { id: provider.tenant, name: provider.tenant };
        await manager.createQueryBuilder().insert().into(Tenant).values(tenant).orIgnore().execute();
        await manager.insert(User, { ...user, kind: 'user', disabledAt: null, epoch: 0 });
        await insert(manager, provider, id, subject);
        await this.audit.append(manager, {
          event: 'sensitive_create',
          actor: user,
          method: 'oidc-login',
          target: `user:${id}`,
          details: { provider: provider.id, roles: user.roles },
        });
      });
    } catch (error) {
      const other = await this.find(subject);
      if (!other) throw error;
      return other;
    }
    return this.find(subject);
  }

  /**
   * One more way in for an account.
   * @throws ConflictException `identity_already_linked` where it opens another
   */
  async link(provider: Provider, account: User, subject: Subject): Promise<OidcIdentity> {
    const linked = () =>
      this.dataSource.manager.findOneBy(OidcIdentity, { issuer: subject.iss, subject: subject.sub });
    const before = await linked();
    if (before) return own(before, account);
    try {
      return await this.dataSource.transaction(async (manager) => {
        const identity = await insert(manager, provider, account.id, subject);
        await this.audit.append(manager, {
          event: 'authn_token_created',
          actor: account,
          method: 'oidc-login',
          target: `oidc-identity:${identity.id}`,
          details: { provider: provider.id },
        });
        return identity;
      });
    } catch (error) {
      const meanwhile = await linked();
      if (!meanwhile) throw error;
      return own(meanwhile, account);
    }
  }

  list({ id }: Principal): Promise<OidcIdentity[]> {
    return this.dataSource.manager.find(OidcIdentity, {
      where: { userId: id },
      order: { createdAt: 'ASC', id: 'ASC' },
    });
  }

  /**
   * Takes a way in away. What was signed in by it is over, and nobody can say which that was: so all is.
   * @returns the account's new epoch
   * @throws NotFoundException for one that is not the caller's, exactly as for one that does not exist
   */
  unlink(caller: Principal, id: string): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.delete(OidcIdentity, { id, userId: caller.id });
      if (!affected) throw new NotFoundException({ code: 'not_found', detail: 'You have no such identity.' });
      const epoch = await endAllSignIns(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `oidc-identity:${id}`,
      });
      return epoch;
    });
  }
}

async function insert(
  manager: EntityManager,
  provider: Provider,
  userId: string,
  { iss: issuer, sub: subject }: Subject,
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

function own(identity: OidcIdentity, account: User): OidcIdentity {
  if (identity.userId === account.id) return identity;
  throw new ConflictException({
    code: 'identity_already_linked',
    detail: 'Whom the provider signed in there opens another account already.',
  });
}
