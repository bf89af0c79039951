/**
 * Another organisation that vouches for its people, in the demo. Its private key is published, so it is trusted there and
 * nowhere else:
 *
 *     -----BEGIN PRIVATE KEY-----
 *     MC4CAQAwBQYDK2VwBCIEIGenrGEJmrwqP/9nELzrDT22KOlvsj4Tjtpcx1YLGtFb
 *     -----END PRIVATE KEY-----
 */
export const DEMO_ASSERTION_ISSUER = {
  issuer: 'https://partner.example',
  keys: [
    {
      kty: 'OKP' as const,
      crv: 'Ed25519',
      kid: 'partner-demo',
      x: 'uJpD12bjpdxvfQfs6ZrlI6e7wPvdNW-rgGuZ_6QTgsA',
    },
  ],
  accounts: { 'robert@partner.example': 'bob' },
  scopes: ['documents:read' as const],
};
