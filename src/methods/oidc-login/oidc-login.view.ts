import type { OidcIdentity } from './oidc-login.entity.js';

/** What its owner is told of an identity. */
export const identityView = ({ id, provider, issuer, subject, createdAt, lastUsedAt }: OidcIdentity) => ({
  id,
  provider,
  issuer,
  subject,
  createdAt,
  lastUsedAt,
});
