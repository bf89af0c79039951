import { randomUUID } from 'node:crypto';
import { OidcIdentity } from '../../src/methods/oidc-login/oidc-login.entity.js';
import { signInUrl } from '../../src/methods/oidc-login/oidc-login.client.js';
import { OidcProviders } from '../../src/methods/oidc-login/oidc-login.providers.service.js';
import type { Ceremony } from '../support/contracts.js';
import { Browser } from './oidc-login.browser.js';
import { providerConfig } from './oidc-login.fake-provider.js';
import { startProvider, signInAtProvider } from './oidc-login.provider.js';

/** Signs a user in at a new provider whose identity is linked with the account. */
export const ceremony: Ceremony = async ({ app, db, origin }, userId, issuer) => {
  const id = `p${randomUUID().slice(0, 8)}`;
  const providers = app.get(OidcProviders, { strict: false });
  const provider = await startProvider((own) => providers.redirectUri(providerConfig(own, { id })));
  provider.user = userId;
  try {
    providers.add(providerConfig(provider.issuer, { id }));
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
    const back = await signInAtProvider(started.headers.get('location')!);
    // The callback URL has the public origin; this server may listen elsewhere.
    return await browser.get(new URL(back.pathname + back.search, origin));
  } finally {
    await provider.close();
  }
};
