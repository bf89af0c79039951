import type { KoaContextWithOIDC } from 'oidc-provider';

/** HTML that is inserted into a page without escaping. */
export class Html {
  constructor(private readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** A value in a template. `undefined` and `false` render as nothing. */
export type HtmlContent = Html | string | number | undefined | false | readonly HtmlContent[];

/**
 * A template tag that escapes all values except {@link Html}. Values are safe between tags and in attributes with double quotes,
 * not elsewhere.
 */
export const html = (strings: TemplateStringsArray, ...values: readonly HtmlContent[]): Html =>
  new Html(String.raw({ raw: strings }, ...values.map(render)));

function render(value: HtmlContent): string {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(render).join('');
  return value === undefined || value === false ? '' : escape(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Also replaces control characters, and bidirectional ones, which can make text display as different text. */
const escape = (text: string) =>
  text
    .replace(/[&<>"'`]/g, (character) => ENTITIES[character]!)
    .replace(/\p{Bidi_Control}|[^\P{Cc}\n\t]/gu, '\ufffd');

const STYLESHEET_PATH = '/interaction/style.css';

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Additional sources of `form-action`, because browsers apply it to redirects after a form as well. */
  readonly formAction?: readonly string[];
}

/** Renders a complete HTML document. The title is its only `h1`. */
export const renderPage = ({ title, body }: Page): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Auth Atlas</title>
        <link rel="stylesheet" href="${STYLESHEET_PATH}" />
      </head>
      <body>
        <main>
          <p class="brand">Auth Atlas</p>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `.toString();

/** Allows our stylesheet and our forms; no scripts, no frames. */
export const contentSecurityPolicy = ({ formAction = [] }: Page): string =>
  [
    "default-src 'none'",
    "style-src 'self'",
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

/** Sends a page as the response of oidc-provider. */
export function sendPage(ctx: Pick<KoaContextWithOIDC, 'set' | 'body'>, page: Page): void {
  ctx.set(pageHeaders(page));
  ctx.body = renderPage(page);
}

/** The same for an interaction that is finished, unknown, of another browser, or without a binding to one. */
export const INTERACTION_ENDED = 'This sign-in has ended, or it was started in another browser.';

/** @param code a stable error code, for the support of the application */
export const errorPage = (detail: string, code: string): Page => ({
  title: 'Something went wrong',
  body: html`
    <p role="alert">${detail}</p>
    <p>Go back to the application and start again. If it happens again, send this code to its support:</p>
    <p class="code">${code}</p>
  `,
});

export const clientNameOf = (client: {
  readonly clientName?: string | undefined;
  readonly clientId: string;
}): string => client.clientName ?? client.clientId;

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

/** The stylesheet of all pages: system fonts, light and dark colours, widths from 320 pixels. */
export const STYLESHEET = `
:root {
  color-scheme: light dark;
  --text: #1c2430;
  --quiet: #566071;
  --page: #f3f5f8;
  --card: #ffffff;
  --line: #8a94a6;
  --accent: #1f5fc4;
  --on-accent: #ffffff;
  --alert: #b3261e;
  --alert-page: #fdecea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6eaf0;
    --quiet: #a9b3c2;
    --page: #10151d;
    --card: #1a212c;
    --line: #6b778a;
    --accent: #8ab4f8;
    --on-accent: #10151d;
    --alert: #ffb4ab;
    --alert-page: #3a1614;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--card); color: var(--text); font: 1.0625rem/1.5 system-ui, sans-serif; }
main {
  max-width: 28rem;
  margin: 0 auto;
  padding: 1.5rem;
  background: var(--card);
  overflow-wrap: anywhere;
}
@media (min-width: 32rem) {
  body { background: var(--page); }
  main { margin: 8vh auto; padding: 2rem 2.5rem 2.5rem; border-radius: 0.75rem; box-shadow: 0 1px 4px #0003; }
}
.brand { margin: 0 0 1.25rem; color: var(--quiet); font-weight: 600; }
h1 { margin: 0 0 0.75rem; font-size: 1.625rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
a { color: var(--accent); }
form + p a { display: inline-block; padding: 0.625rem 0; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
label { display: block; margin: 0 0 0.25rem; font-weight: 600; }
input:not([type='checkbox']) {
  width: 100%;
  min-height: 3rem;
  margin: 0 0 1rem;
  padding: 0.5rem 0.75rem;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  background: var(--card);
  color: var(--text);
  font: inherit;
}
input[type='hidden'] { display: none; }
input[aria-invalid] { border-color: var(--alert); }
fieldset { margin: 0 0 1rem; padding: 0; border: 0; }
legend { padding: 0; margin: 0 0 0.25rem; font-weight: 600; }
.resource { font-weight: 400; }
.choice { display: flex; gap: 0.75rem; align-items: center; min-height: 2.75rem; margin: 0; font-weight: 400; }
input[type='checkbox'] { flex: none; width: 1.375rem; height: 1.375rem; margin: 0; accent-color: var(--accent); }
button {
  display: block;
  width: 100%;
  min-height: 3rem;
  margin: 0.75rem 0 0;
  padding: 0.5rem 1rem;
  border: 1px solid var(--accent);
  border-radius: 0.5rem;
  background: var(--accent);
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  cursor: pointer;
}
button.quiet { background: transparent; color: var(--accent); }
form + p { margin: 1.5rem 0 0; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.error {
  padding: 0.75rem 1rem;
  border-left: 4px solid var(--alert);
  background: var(--alert-page);
  color: var(--alert);
}
.note { padding: 0.75rem 1rem; border-left: 4px solid var(--line); background: var(--page); }
.code, .user-code { font-family: ui-monospace, monospace; }
.user-code { font-size: 1.5rem; letter-spacing: 0.15em; text-transform: uppercase; text-align: center; }
`;
