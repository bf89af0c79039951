import { BRAND } from './brand.js';
import { html, type Html } from './html.js';

export const STYLESHEET_PATH = '/pages/style.css';

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Additional sources of `form-action`, because browsers apply it to redirects after a form as well. */
  readonly formAction?: readonly string[];
  /** The paths of module scripts of this server. Without them, the page may run no script. */
  readonly scripts?: readonly string[];
}

/** Renders a complete HTML document. The title is its only `h1`. */
export const renderPage = ({ title, body, scripts = [] }: Page): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · ${BRAND.name}</title>
        <link rel="stylesheet" href="${STYLESHEET_PATH}" />
        ${scripts.map((path) => html`<script type="module" src="${path}"></script>`)}
      </head>
      <body>
        <main>
          <p class="brand">${BRAND.logo} ${BRAND.name}</p>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `.toString();

/** Allows our stylesheet and our forms; no frames, and scripts only for a page that has some. */
export const contentSecurityPolicy = ({ formAction = [], scripts = [] }: Page): string =>
  [
    "default-src 'none'",
    "style-src 'self'",
    ...(scripts.length ? ["script-src 'self'", "connect-src 'self'"] : []),
    ['form-action', "'self'", ...formAction].join(' '),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');

export const pageHeaders = (page: Page): Readonly<Record<string, string>> => ({
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': contentSecurityPolicy(page),
  // Not `no-referrer`: with it, browsers send `Origin: null` with our own forms, too (Fetch section 4.7).
  'Referrer-Policy': 'same-origin',
});

/** @param code a stable error code, for the support of the application */
export const errorPage = (detail: string, code: string): Page => ({
  title: 'Something went wrong',
  body: html`
    <p role="alert">${detail}</p>
    <p>Go back to the application and start again. If it happens again, send this code to its support:</p>
    <p class="code">${code}</p>
  `,
});

/**
 * The `form-action` source for a URI that a form may redirect to: its origin, or the scheme of a native application.
 * @returns an empty list for a URI that cannot be expressed as a source
 */
export function formActionSources(uri: unknown): string[] {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return [];
  const { protocol, host, origin } = new URL(uri);
  if (!/^https?:$/.test(protocol)) return [protocol];
  // CSP Level 3 section 2.3.1 has no syntax for IPv6 addresses.
  if (host.startsWith('[')) return [protocol];
  // A host with `;` or `,` would start another directive or policy.
  return /^[\w.:-]+$/.test(host) ? [origin] : [];
}
