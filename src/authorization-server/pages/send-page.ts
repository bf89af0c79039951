import type { KoaContextWithOIDC } from 'oidc-provider';
import { pageHeaders, renderPage, type Page } from '../../pages/layout.js';

/** The same for an interaction that is finished, unknown, of another browser, or without a binding to one. */
export const INTERACTION_ENDED = 'This sign-in has ended, or it was started in another browser.';

/** Sends a page as the response of oidc-provider. */
export function sendPage(ctx: Pick<KoaContextWithOIDC, 'set' | 'body'>, page: Page): void {
  ctx.set(pageHeaders(page));
  ctx.body = renderPage(page);
}

export const clientNameOf = (client: {
  readonly clientName?: string | undefined;
  readonly clientId: string;
}): string => client.clientName ?? client.clientId;
