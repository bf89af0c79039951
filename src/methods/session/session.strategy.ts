import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal, Proof } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import {
  dateFromRow,
  integerFromRow,
  nullableDateFromRow,
  nullableStringsFromRow,
  stringsFromRow,
} from '../../database/columns.js';
import { rowFinder, type RowFinder } from '../../database/row-finder.js';
import { SessionCookie } from './session.cookie.js';
import { SessionCsrf } from './session.csrf.js';
import { Session } from './session.entity.js';
import { IDLE_TIMEOUT_MS, hashSessionValue, isSafeMethod, isSessionValue } from './session.js';
import { SessionService } from './session.service.js';
import { USER_COLUMNS, principalOf, userFromRow, type User, type UserRow } from '../../users/user.entity.js';

/** A row as the driver returns it: JSON columns as text, dates as `Date` (PostgreSQL) or text (SQLite). */
interface Row extends UserRow {
  readonly id: string;
  readonly epoch: number;
  readonly roles: string;
  readonly scopes: string | null;
  readonly amr: string;
  readonly authAt: Date | string;
  readonly lastSeenAt: Date | string;
  readonly expiresAt: Date | string;
  readonly revokedAt: Date | string | null;
  readonly previousUntil: Date | string | null;
}

const COLUMNS = [
  ...['id', 'epoch', 'roles', 'scopes', 'amr', 'authAt'],
  ...['lastSeenAt', 'expiresAt', 'revokedAt', 'previousUntil'],
].map((name) => `session."${name}" AS "${name}"`);

@Injectable()
export class SessionStrategy extends PassportStrategy(Strategy, 'session') implements AuthStrategy {
  readonly challenge: Challenge;
  /** The browser sends the cookie with every request. */
  readonly ambient = true;
  readonly sendsSecret = true;
  readonly namesRequirement = true;
  private readonly cookie: SessionCookie;
  private readonly findByHash: RowFinder<Row>;
  private readonly findByPreviousHash: RowFinder<Row>;

  constructor(
    dataSource: DataSource,
    private readonly sessions: SessionService,
    private readonly csrf: SessionCsrf,
    private readonly lastUsed: LastUsedPort,
    settings: Settings,
  ) {
    super();
    this.cookie = new SessionCookie(settings.publicUrl);
    this.challenge = new Challenge('Cookie', {
      realm: 'auth-atlas',
      'cookie-name': this.cookie.name,
      'form-action': '/auth/login',
    });
    const finderBy = (column: string) =>
      rowFinder<Row>(
        dataSource,
        `SELECT ${COLUMNS.join(', ')}, ${USER_COLUMNS} FROM sessions session JOIN users account ` +
          `ON account.id = session."userId" WHERE session."${column}" = ?`,
      );
    this.findByHash = finderBy('idHash');
    this.findByPreviousHash = finderBy('previousHash');
  }

  claims(request: AuthRequest): boolean {
    return this.cookie.isIn(request);
  }

  csrfToken({ credentialId = '' }: Proof): string {
    return this.csrf.tokenFor(credentialId);
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const value = this.cookie.readOne(request) ?? '';
    if (!isSessionValue(value)) throw invalidSession('malformed cookie');
    const hash = hashSessionValue(value);
    const current = await this.findByHash(hash);
    const row = current ?? (await this.findRenewed(hash));
    if (!row) throw invalidSession('unknown session');

    const account = userFromRow(row);
    const invalid = (reason: string) => invalidSession(`the session ${row.id} ${reason}`).ofAccount(account);
    if (nullableDateFromRow(row.revokedAt)) throw invalid('was ended');
    if (integerFromRow(row.epoch) !== account.epoch)
      throw invalid('was ended with all sign-ins of its account');
    const principal = toPrincipal(row, account, { isRenewed: !current });
    const timeout = timeoutOf(row);
    if (timeout) {
      await this.sessions.revoke(row.id, timeout, principal);
      throw invalid(`is over: ${timeout}`);
    }
    if (!isSafeMethod(request.method)) this.csrf.checkWrite(request, row.id);

    if (current && current.roles !== current.user_roles)
      await this.sessions.renew(current.id, hash, principal, request);
    this.lastUsed.touch(Session, 'lastSeenAt', row.id, dateFromRow(row.lastSeenAt));
    return principal;
  }

  /** Finds a session by its previous cookie: a page sends several requests at once, and the first may renew the cookie. */
  private async findRenewed(hash: string): Promise<Row | undefined> {
    const row = await this.findByPreviousHash(hash);
    const until = row && nullableDateFromRow(row.previousUntil);
    return until && until.getTime() > Date.now() ? row : undefined;
  }
}

function timeoutOf({ lastSeenAt, expiresAt }: Row): 'idle' | 'expired' | undefined {
  if (dateFromRow(lastSeenAt).getTime() + IDLE_TIMEOUT_MS <= Date.now()) return 'idle';
  if (dateFromRow(expiresAt).getTime() <= Date.now()) return 'expired';
  return undefined;
}

/** @param isRenewed whether the request carries the cookie from before the last renewal, which manages nothing */
function toPrincipal(row: Row, account: User, { isRenewed }: { isRenewed: boolean }): Principal {
  const proof = {
    method: 'session',
    credentialId: row.id,
    at: dateFromRow(row.authAt),
    amr: stringsFromRow(row.amr),
    bound: false,
    signIn: true,
    ...(isRenewed && { restricted: true as const }),
  } as const;
  return principalOf(account, proof, invalidSession, nullableStringsFromRow(row.scopes));
}

/** One code for every cause; the log has the reason. */
const invalidSession = (reason: string) => new BadCredential('invalid_session', reason);
