import { AsyncLocalStorage } from 'node:async_hooks';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { AccessToken } from '../../access-tokens/access-token.entity.js';
import type { Actor } from '../../authentication/principal.js';

/** The token exchange (RFC 8693) that a request performs: its subject token, and the `act` claim of the new token. */
export interface TokenExchangeState {
  readonly subject: AccessToken;
  readonly act: Actor;
}

/** Reads the exchange from Koa's `ctx.state`, because oidc-provider passes no such data to its hooks and adapters. */
export const tokenExchangeOf = (ctx: KoaContextWithOIDC | undefined): TokenExchangeState | undefined =>
  (ctx?.state as { tokenExchange?: TokenExchangeState } | undefined)?.tokenExchange;

export function setTokenExchange(ctx: KoaContextWithOIDC, tokenExchange: TokenExchangeState): void {
  Object.assign(ctx.state, { tokenExchange });
}

/**
 * Epochs by account id, of one request. An AsyncLocalStorage, because oidc-provider calls its adapters without the request,
 * also from outside its own request handler, where `Provider.ctx` is undefined: the interaction pages.
 */
const epochs = new AsyncLocalStorage<Map<string, number>>();

/** Handles one request. Everything that it stores for an account has the same epoch, see {@link epochInRequest}. */
export const withRequestState = <Result>(handle: () => Promise<Result>): Promise<Result> =>
  epochs.run(new Map(), handle);

/**
 * The epoch for everything that the current request stores for an account: the first that it read. If "log out everywhere"
 * happens during the request, the stored records are invalid from the start.
 */
export function epochInRequest(accountId: string, epoch: number): number {
  const known = epochs.getStore();
  const first = known?.get(accountId) ?? epoch;
  known?.set(accountId, first);
  return first;
}
