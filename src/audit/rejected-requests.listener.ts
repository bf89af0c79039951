import { HttpException, Injectable } from '@nestjs/common';
import { Unauthenticated } from '../authentication/challenge.js';
import { type AuditEventName, RejectedRequests, type RejectionListener } from '../authentication/ports.js';
import type { Principal } from '../authentication/principal.js';
import { problemOf } from '../http/problem.js';
import { requestContext } from '../http/request-context.js';
import { AuditLog } from './audit-log.service.js';

const EVENT_BY_STATUS: Readonly<Record<number, AuditEventName>> = {
  400: 'input_validation_fail',
  401: 'authn_login_fail',
  403: 'authz_fail',
  413: 'input_validation_fail',
  415: 'input_validation_fail',
  422: 'input_validation_fail',
  429: 'excess_rate_limit_exceeded',
  431: 'input_validation_fail',
};

/** Records rejected requests in the audit log, with the reason and the route but without text that the caller sent. */
@Injectable()
export class RejectedRequestsListener implements RejectionListener {
  constructor(
    private readonly log: AuditLog,
    rejectedRequests: RejectedRequests,
  ) {
    rejectedRequests.subscribe(this);
  }

  rejected(_ip: string, error: unknown, caller: Principal | undefined): void {
    const event = error instanceof HttpException ? EVENT_BY_STATUS[error.getStatus()] : undefined;
    if (!event || this.log.isRecorded(error as HttpException)) return;
    const credential = error instanceof Unauthenticated ? error.rejectedCredential : undefined;
    const route = requestContext.getStore()?.route;
    const { code } = problemOf(error, undefined);
    this.log.recordRejectionInBackground({
      event,
      actor: caller ?? credential?.account,
      method: credential?.method,
      details: { code, ...(credential && { reason: credential.reason }), ...(route && { route }) },
    });
  }
}
