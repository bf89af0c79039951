import { html } from './html.js';
import type { Page } from './layout.js';

/** @param code a stable word for whoever helps; @param detail a sentence for whoever reads it */
export const errorPage = (detail: string, code: string): Page => ({
  title: 'This did not work',
  body: html`
    <p role="alert">${detail}</p>
    <p class="code">${code}</p>
  `,
});
