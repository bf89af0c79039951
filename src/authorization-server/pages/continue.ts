import type { KoaContextWithOIDC } from 'oidc-provider';
import { formsTo } from './forms-to.js';
import { Html, html } from './html.js';
import { show } from './show.js';

/** The form of the engine's page that a script would send. All that is put into it, the engine has escaped. */
const FORM = /(<form method="post" action="([^"]*)">[^]*?)<noscript>/;

/**
 * Some of the engine's pages hold a form and a script that sends it: the response mode `form_post`, and where one of its own
 * pages is to be posted to. No page of ours runs a script, so here whoever reads the page sends the form.
 */
export async function continueWithoutScript(
  ctx: KoaContextWithOIDC,
  next: () => Promise<void>,
): Promise<void> {
  await next();
  const found = typeof ctx.body === 'string' && ctx.body.includes('<script>') && FORM.exec(ctx.body);
  if (!found) return;
  const [, form = '', action = ''] = found;
  const { session, entities } = ctx.oidc;
  const then = [
    action,
    session?.state?.['postLogoutRedirectUri'],
    entities.Interaction?.params['redirect_uri'],
  ];
  show(ctx, {
    title: 'One more step',
    formsTo: [...new Set(then.flatMap(formsTo))],
    body: html`
      <p>${saying(action, ctx.oidc.issuer, ctx.oidc.route)}</p>
      ${new Html(form)}
      <button autofocus>Continue</button>
      ${new Html('</form>')}
    `,
  });
}

function saying(action: string, issuer: string, route: string): string {
  if (!action.startsWith(`${issuer}/`)) return `Go back to ${new URL(action).host}.`;
  if (route === 'resume' || route === 'device_resume')
    return 'Somebody else is signed in in this browser. Continue to sign them out, and go on as yourself.';
  return 'Continue to go on.';
}
