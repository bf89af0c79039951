import { Injectable } from '@nestjs/common';
import type { Principal } from './principal.js';

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
