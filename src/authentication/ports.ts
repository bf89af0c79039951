import { Injectable, type Type } from '@nestjs/common';
import type { Principal } from './principal.js';

/**
 * The names of audit events, from the OWASP Logging Vocabulary Cheat Sheet.
 * https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
 */
export const AUDIT_EVENTS = [
  'authn_login_success',
  'authn_login_successafterfail',
  'authn_login_fail',
  'authn_password_change',
  'authn_token_created',
  'authn_token_revoked',
  'authn_token_reuse',
  'session_created',
  'session_renewed',
  'session_expired',
  'authz_fail',
  'authz_change',
  'sensitive_create',
  'sensitive_read',
  'sensitive_update',
  'sensitive_delete',
  'input_validation_fail',
  'excess_rate_limit_exceeded',
] as const;

export type AuditEventName = (typeof AUDIT_EVENTS)[number];

/** One audit event. The audit log adds the time, the request id and the client's address. */
export interface AuditEntry {
  readonly event: AuditEventName;
  /** The account that acted. Supplies the tenant, the method and the credential id. */
  readonly actor?: (Pick<Principal, 'id' | 'tenantId'> & Partial<Principal>) | undefined;
  readonly method?: string | undefined;
  /** The object of the event, as `kind:id`: `session:3f…`, `document:12…`. */
  readonly target?: string | undefined;
  /** Never a secret, and never text that a caller typed. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Receives audit events. An application without an audit log uses {@link NoAudit}. */
export abstract class AuditPort {
  /**
   * Stores events in the caller's database transaction, so that the change and its events commit together.
   * Call it last: other writers of events wait until the transaction ends.
   *
   * @param transaction TypeORM's `EntityManager` of the transaction
   */
  abstract append(transaction: object, ...entries: readonly AuditEntry[]): Promise<void>;

  /** Stores an event in a transaction of its own. */
  abstract record(entry: AuditEntry): Promise<void>;

  /**
   * Stores the event of a rejected request before the response is sent.
   * @param error the exception that is about to be thrown; the filter does not record it a second time
   */
  abstract recordRejection(error: Error, entry: AuditEntry): Promise<void>;

  /** Stores an event soon, in a batch with others, so that the response does not wait for it. */
  abstract recordInBackground(entry: AuditEntry): void;
}

@Injectable()
export class NoAudit implements AuditPort {
  async append(): Promise<void> {}
  async record(): Promise<void> {}
  async recordRejection(): Promise<void> {}
  recordInBackground(): void {}
}

/** An event of which the holder of an account is told, so that a takeover does not go unnoticed. */
export const SECURITY_NOTICES = [
  'new_device',
  'sign_in_after_failures',
  'password_changed',
  'factor_added',
  'factor_removed',
  'recovery_code_used',
] as const;
export type SecurityNotice = (typeof SECURITY_NOTICES)[number];

/** Tells account holders of security events. An application that sends no mail uses {@link NoNotices}. */
export abstract class NoticePort {
  /** Call it after the transaction. The response does not wait for the mail. */
  abstract send(accountId: string, notice: SecurityNotice): void;

  /** Call it after each sign-in: one from an unknown device, or after failed attempts, is a notice. */
  abstract signedIn(accountId: string): void;
}

@Injectable()
export class NoNotices implements NoticePort {
  send(): void {}
  signedIn(): void {}
}

/** Receives the use of a credential. An application that does not show "last used" uses {@link NoLastUsed}. */
export abstract class LastUsedPort {
  /**
   * Stores the current time on a row, to the minute and not before the response is sent.
   * @param property the date column to set
   * @param last its current value
   */
  abstract touch(entity: Type, property: string, id: string, last: Date | null): void;
}

@Injectable()
export class NoLastUsed implements LastUsedPort {
  touch(): void {}
}

/** An account as the kernel sees it. */
export type Account = Pick<Principal, 'id' | 'kind' | 'tenantId' | 'roles'>;

/** Decides who manages the credentials of another account. In an application without a policy: {@link NoAdministration}. */
export abstract class AccountAdministration {
  abstract mayManage(caller: Principal, account: Account): boolean;
}

@Injectable()
export class NoAdministration implements AccountAdministration {
  mayManage(): boolean {
    return false;
  }
}

/** Creates the demo's rows. An application that does not ask for a demo uses {@link NoDemo}. */
export abstract class DemoPort {
  /**
   * Runs `create` in a transaction, once in the life of a database: deleted rows stay deleted.
   * @param create receives TypeORM's `EntityManager` of the transaction. It returns false in a database that is not
   * the demo's: then neither this part nor a later one is created.
   * @returns whether the part exists, from now or from before
   */
  abstract once<T extends object>(
    part: string,
    create: (manager: T) => Promise<void | false>,
  ): Promise<boolean>;
}

@Injectable()
export class NoDemo implements DemoPort {
  async once(): Promise<boolean> {
    return false;
  }
}

/** Is called for every rejected request: the rate limits and the audit log implement it. */
export interface RejectionListener {
  /**
   * @param ip the client's address
   * @param caller undefined if the request was rejected before authentication
   */
  rejected(ip: string, error: unknown, caller: Principal | undefined): void;
}

/**
 * Forwards rejected requests to the listeners. The problem filter, the HTTP server and the authorization server notify
 * it, because an exception filter does not see requests that are rejected outside Nest's handlers.
 */
@Injectable()
export class RejectedRequests {
  private readonly listeners: RejectionListener[] = [];

  subscribe(listener: RejectionListener): void {
    this.listeners.push(listener);
  }

  notify(ip: string, error: unknown, caller?: Principal): void {
    for (const listener of this.listeners) listener.rejected(ip, error, caller);
  }
}
