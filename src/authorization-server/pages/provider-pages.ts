import { HttpException } from '@nestjs/common';
import type { ErrorOut, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { errors } from '../provider/oidc-provider.js';
import { Html, html } from '../../pages/html.js';
import { errorPage, formActionSources, pageHeaders, renderPage, type Page } from '../../pages/layout.js';

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

/** Shows an error that oidc-provider must not or cannot redirect to the client (RFC 6749 section 4.1.2.1). */
export async function renderError(
  ctx: KoaContextWithOIDC,
  { error, error_description }: ErrorOut,
  cause?: Error,
) {
  if (cause instanceof errors.SessionNotFound)
    return sendPage(ctx, errorPage(INTERACTION_ENDED, 'interaction_not_found'));
  sendPage(
    ctx,
    errorPage(`The request of the application was rejected: ${error_description ?? error}.`, error),
  );
}

type Middleware = Parameters<Provider['use']>[0];

/**
 * Koa middleware that shows a rejected request as a page.
 * @param check throws an HttpException with `code` and `detail` to reject a request
 */
export const pageOfRejection =
  (check: (ctx: Parameters<Middleware>[0]) => void): Middleware =>
  async (ctx, next) => {
    try {
      check(ctx);
    } catch (error) {
      if (!(error instanceof HttpException)) throw error;
      const { code, detail } = error.getResponse() as { code: string; detail: string };
      ctx.status = error.getStatus();
      return sendPage(ctx, errorPage(detail, code));
    }
    await next();
  };

/** The pages of RP-initiated logout: options of oidc-provider's `features.rpInitiatedLogout`. */
export const logoutPages = {
  async logoutSource(ctx: KoaContextWithOIDC) {
    const { secret, postLogoutRedirectUri } = ctx.oidc.session!.state as Record<string, string>;
    const { client } = ctx.oidc;
    sendPage(ctx, {
      title: 'Sign out?',
      formAction: formActionSources(postLogoutRedirectUri),
      body: html`
        <p>
          ${client && html`<strong>${clientNameOf(client)}</strong> asks you to sign out. `}Signing out also
          ends the access of applications that depends on this sign-in.
        </p>
        <form method="post" action="${ctx.oidc.urlFor('end_session_confirm')}">
          <input type="hidden" name="xsrf" value="${secret}" />
          <button name="logout" value="yes" autofocus>Sign out</button>
          <button class="quiet">${client ? 'Leave only this application' : 'Stay signed in'}</button>
        </form>
      `,
    });
  },

  async postLogoutSuccessSource(ctx: KoaContextWithOIDC) {
    const { client } = ctx.oidc;
    sendPage(ctx, {
      title: client ? 'You have left the application' : 'You are signed out',
      body: html`<p role="status">
        ${client && html`<strong>${clientNameOf(client)}</strong> has lost its access by this sign-in. `}You
        can close this page.
      </p>`,
    });
  },
};

/** The form that a script of oidc-provider would submit. Its values are escaped already. */
const SELF_SUBMITTING_FORM = /(<form method="post" action="([^"]*)">[^]*?)<noscript>/;

/**
 * Koa middleware that replaces self-submitting forms by a page with a button, because no page here runs a script. The
 * library uses such forms for the response mode `form_post` and before it signs another account out.
 */
export async function formPostPage(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  await next();
  if (typeof ctx.body !== 'string' || !ctx.body.includes('<script>')) return;
  const match = SELF_SUBMITTING_FORM.exec(ctx.body);
  if (!match) return;
  const [, form = '', action = ''] = match;
  const { session, entities } = ctx.oidc;
  const targets = [
    action,
    session?.state?.['postLogoutRedirectUri'],
    entities.Interaction?.params['redirect_uri'],
  ];
  sendPage(ctx, {
    title: 'One more step',
    formAction: [...new Set(targets.flatMap(formActionSources))],
    body: html`
      <p>${instruction(action, ctx.oidc.issuer, ctx.oidc.route)}</p>
      ${new Html(form)}
      <button autofocus>Continue</button>
      ${new Html('</form>')}
    `,
  });
}

function instruction(action: string, issuer: string, route: string): string {
  if (!action.startsWith(`${issuer}/`)) return `Press Continue to return to ${new URL(action).host}.`;
  if (route === 'resume' || route === 'device_resume')
    return 'Another person is signed in in this browser. Continue to sign them out and to go on with your account.';
  return 'Press Continue to go on.';
}
