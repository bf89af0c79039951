import { randomUUID } from 'node:crypto';
import { OidcIdentity } from '../../src/methods/oidc-login/oidc-login.entity.js';
import { signInUrl } from '../../src/methods/oidc-login/oidc-login.client.js';
import { OidcProviders } from '../../src/methods/oidc-login/oidc-login.providers.service.js';
import type { Ceremony } from '../support/contracts.js';
import { Browser } from './oidc-login.browser.js';
import { configured } from './oidc-login.configured.js';
import { startProvider, throughTheProvider } from './oidc-login.provider.js';

/** Somebody signs in at a provider of its own, whom the user's account knows. */
export const ceremony: Ceremony = async ({ app, db, origin }, userId, issuer) => {
  const id = `p${randomUUID().slice(0, 8)}`;
  const providers = app.get(OidcProviders, { strict: false });
  const provider = await startProvider((own) => providers.redirectUri(configured(own, { id })));
  provider.person = userId;
  try {
    providers.add(configured(provider.issuer, { id }));
    await db.manager.insert(OidcIdentity, {
      id: randomUUID(),
      userId,
      issuer: provider.issuer,
      subject: userId,
      provider: id,
      createdAt: new Date(),
      lastUsedAt: null,
    });
    const browser = new Browser();
    const started = await browser.get(signInUrl(origin, { provider: id, as: issuer }));
    const back = await throughTheProvider(started.headers.get('location')!);
    // The callback is under the public URL, which need not be where this server listens.
    return await browser.get(new URL(back.pathname + back.search, origin));
  } finally {
    await provider.close();
  }
};
