import type { KoaContextWithOIDC } from 'oidc-provider';
import { documentOf, headersOf, type Page } from './layout.js';

/** Answers with a page, where the engine asks for one. */
export function show(ctx: Pick<KoaContextWithOIDC, 'set' | 'body'>, page: Page): void {
  ctx.set(headersOf(page));
  ctx.body = documentOf(page);
}

/** What an application calls itself, or its id. */
export const nameOf = (client: {
  readonly clientName?: string | undefined;
  readonly clientId: string;
}): string => client.clientName ?? client.clientId;
