import { html, type Html } from './html.js';

/** Where the one stylesheet is served. */
export const STYLE_PATH = '/interaction/style.css';

/** A page, with where its forms may end. */
export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Origins or schemes beyond this server's: browsers hold redirects after a form against `form-action` as well. */
  readonly formsTo?: readonly string[];
}

/** A whole document. Its title is the page's only heading of the first order. */
export const documentOf = ({ title, body }: Page): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Auth Atlas</title>
        <link rel="stylesheet" href="${STYLE_PATH}" />
      </head>
      <body>
        <main>
          <p class="brand">Auth Atlas</p>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `.toString();

/** No script, no style but ours, no frame around it, and forms that end here or where the page says. */
export const policyOf = ({ formsTo = [] }: Page): string =>
  [
    "default-src 'none'",
    "style-src 'self'",
    ['form-action', "'self'", ...formsTo].join(' '),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');

export const headersOf = (page: Page): Readonly<Record<string, string>> => ({
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': policyOf(page),
  // With `no-referrer`, a browser would not say either from where our own forms come (Fetch, section 4.7: `Origin: null`).
  'Referrer-Policy': 'same-origin',
});
