import type { KoaContextWithOIDC } from 'oidc-provider';
import { formsTo } from './forms-to.js';
import { html } from './html.js';
import { nameOf, show } from './show.js';

/** The pages of RP-initiated logout, as the engine's `features.rpInitiatedLogout` takes them. */
export const logoutPages = {
  async logoutSource(ctx: KoaContextWithOIDC) {
    const { secret, postLogoutRedirectUri } = ctx.oidc.session!.state as Record<string, string>;
    const { client } = ctx.oidc;
    show(ctx, {
      title: 'Sign out?',
      formsTo: formsTo(postLogoutRedirectUri),
      body: html`
        <p>
          ${client && html`<strong>${nameOf(client)}</strong> asks you to sign out. `}Signing out here also
          ends what applications may do with this sign-in.
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
    show(ctx, {
      title: client ? 'You have left the application' : 'You are signed out',
      body: html`<p role="status">
        ${client && html`<strong>${nameOf(client)}</strong> has no access by this sign-in any more. `}You can
        close this page.
      </p>`,
    });
  },
};
