import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { dateFromRow } from '../../database/raw-dates.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../../users/user-row.js';
import { principalOf } from '../../users/principal-of.js';
import { SessionCsrf } from './session.csrf.js';
import { Session } from './session.entity.js';
import { IDLE_MS, SessionCookie, hashOf, isSafe, isSession } from './session.js';
import { Sessions } from './session.service.js';

/** One code for every session that is no good, whatever is wrong with it; the log has the reason. */
const CODE = 'invalid_session';

type Moment = Date | string;

interface Row extends UserRow {
  readonly id: string;
  readonly epoch: number;
  readonly roles: string;
  readonly scopes: string | null;
  readonly amr: string;
  readonly authAt: Moment;
  readonly lastSeenAt: Moment;
  readonly expiresAt: Moment;
  readonly revokedAt: Moment | null;
  readonly previousUntil: Moment | null;
}

const COLUMNS = [
  ...['id', 'epoch', 'roles', 'scopes', 'amr', 'authAt'],
  ...['lastSeenAt', 'expiresAt', 'revokedAt', 'previousUntil'],
].map((name) => `session."${name}" AS "${name}"`);

@Injectable()
export class SessionStrategy extends PassportStrategy(Strategy, 'session') implements AuthStrategy {
  readonly challenge: Challenge;
  /** A browser sends it unasked. */
  readonly ambient = true;
  readonly sendsSecret = true;
  private readonly cookie: SessionCookie;
  /** Made once, and read by the driver as they are: on every request, an ORM's way to them would cost more than they do. */
  private readonly byHash: string;
  private readonly byPreviousHash: string;

  constructor(
    private readonly dataSource: DataSource,
    private readonly sessions: Sessions,
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
    const select = (column: string) =>
      `SELECT ${COLUMNS.join(', ')}, ${USER_COLUMNS} FROM sessions session JOIN users account ` +
      `ON account.id = session."userId" WHERE session."${column}" = ${dataSource.driver.createParameter('hash', 0)}`;
    this.byHash = select('idHash');
    this.byPreviousHash = select('previousHash');
  }

  claims(request: AuthRequest): boolean {
    return this.cookie.read(request.header('Cookie')).length > 0;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const [value = '', ...others] = this.cookie.read(request.header('Cookie'));
    if (others.length)
      throw new BadRequestException({
        code: 'duplicate_cookie',
        detail: `The cookie ${this.cookie.name} came twice.`,
      });
    if (!isSession(value)) throw refused('the cookie holds no session');
    const hash = hashOf(value);
    const [current] = await this.dataSource.query<Row[]>(this.byHash, [hash]);
    const row = current ?? (await this.renewedMeanwhile(hash));
    if (!row) throw refused('unknown session');
    if (row.revokedAt) throw refused(`the session ${row.id} is over`).ofAccount(userFromRow(row));
    if (row.epoch < row.user_epoch)
      throw refused(`all sign-ins of ${row.user_id} were ended`).ofAccount(userFromRow(row));
    const principal = this.principalFrom(row);
    await this.refuseExpired(row, principal);
    if (!isSafe(request.method)) this.csrf.checkWrite(request, row.id);
    if (current && current.roles !== current.user_roles)
      await this.sessions.renew(current.id, hash, principal, request);
    this.lastUsed.touch(Session, 'lastSeenAt', row.id, dateFromRow(row.lastSeenAt));
    return principal;
  }

  private principalFrom(row: Row): Principal {
    const proof = {
      method: 'session',
      credentialId: row.id,
      at: dateFromRow(row.authAt),
      amr: JSON.parse(row.amr) as string[],
      bound: false,
    } as const;
    const scopes = row.scopes === null ? null : (JSON.parse(row.scopes) as string[]);
    return principalOf(userFromRow(row), proof, refused, scopes);
  }

  /** A page's requests go out together: those with the value that the first of them has just replaced are still good. */
  private async renewedMeanwhile(hash: string): Promise<Row | undefined> {
    const [row] = await this.dataSource.query<Row[]>(this.byPreviousHash, [hash]);
    return row?.previousUntil && dateFromRow(row.previousUntil).getTime() > Date.now() ? row : undefined;
  }

  private async refuseExpired(row: Row, principal: Principal): Promise<void> {
    const now = Date.now();
    const idle = dateFromRow(row.lastSeenAt).getTime() + IDLE_MS <= now;
    if (!idle && dateFromRow(row.expiresAt).getTime() > now) return;
    const reason = idle ? 'idle' : 'expired';
    await this.sessions.over(row.id, reason, principal);
    throw refused(`the session ${row.id} is over: ${reason}`).ofAccount(userFromRow(row));
  }
}

const refused = (reason: string) => new BadCredential(CODE, reason);
