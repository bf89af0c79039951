import { HttpException, Injectable } from '@nestjs/common';
import { Refusals, current, type AuditEventName } from '../audit/index.js';
import { Unauthenticated, type Principal } from '../auth/index.js';
import { problemOf } from './problem.js';

/** Who watches what is refused: a counter, a log. */
export interface RefusalObserver {
  /** @param ip the client's address; @param caller who it was, where that was known already */
  refused(ip: string, error: unknown, caller: Principal | undefined): void;
}

const EVENTS: Readonly<Record<number, AuditEventName>> = {
  400: 'input_validation_fail',
  401: 'authn_login_fail',
  403: 'authz_fail',
  413: 'input_validation_fail',
  415: 'input_validation_fail',
  422: 'input_validation_fail',
  429: 'excess_rate_limit_exceeded',
  431: 'input_validation_fail',
};

/** Writes refused requests into the audit log: what was refused and why, and nothing of what was sent. */
@Injectable()
export class RefusalEvents implements RefusalObserver {
  constructor(private readonly refusals: Refusals) {}

  refused(_ip: string, error: unknown, caller: Principal | undefined): void {
    const event = error instanceof HttpException ? EVENTS[error.getStatus()] : undefined;
    if (!event || this.refusals.isWritten(error as HttpException)) return;
    const refusal = error instanceof Unauthenticated ? error.refusal : undefined;
    const { route } = current.getStore()?.seen() ?? {};
    const { code } = problemOf(error, undefined);
    this.refusals.add({
      event,
      actor: caller ?? refusal?.account,
      method: refusal?.method,
      details: { code, ...(refusal && { reason: refusal.reason }), ...(route && { route }) },
    });
  }
}
