import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import { html } from './html.js';
import type { Page } from './layout.js';
import { show } from './show.js';

/** @param detail a sentence for whoever reads it; @param code a stable word for whoever helps */
export const errorPage = (detail: string, code: string): Page => ({
  title: 'This did not work',
  body: html`
    <p role="alert">${detail}</p>
    <p>Go back to the application and begin again. If it happens again, tell those who run it this word:</p>
    <p class="code">${code}</p>
  `,
});

/** Where the engine cannot or must not send a browser back to the application. */
export async function renderError(ctx: KoaContextWithOIDC, { error, error_description }: ErrorOut) {
  show(ctx, errorPage(`The application's request was refused: ${error_description ?? error}.`, error));
}
