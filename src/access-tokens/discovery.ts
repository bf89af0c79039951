import { RemoteFailure, fetchJson } from './fetch-json.js';

/**
 * Where an issuer's keys are, from its metadata: OpenID Connect Discovery 1.0, section 4, or RFC 8414, section 3, which differ in
 * where the document lies.
 *
 * @param secure whether only https is good enough
 * @throws RemoteFailure where there is none, or it is another issuer's
 */
export async function discoverKeys(issuer: string, secure: boolean): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  for (const place of places) {
    const { status, body } = await fetchJson(place, { headers: { Accept: 'application/json' } });
    if (status === 404) continue;
    const { issuer: name, jwks_uri: keys } = (body ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
    // Whoever could answer for another issuer could sign for it (RFC 8414, section 6.2).
    if (status !== 200 || name !== issuer || typeof keys !== 'string' || !URL.canParse(keys)) break;
    if (secure && new URL(keys).protocol !== 'https:') break;
    return keys;
  }
  throw new RemoteFailure(`${issuer} does not say where its keys are`);
}
