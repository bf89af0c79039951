import { parse, stringify } from 'node:querystring';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { SigningKeys } from '../crypto/signing-keys.service.js';

/** Where a token is asked about, or ended: RFC 7662 and RFC 7009. */
const ABOUT_TOKENS = ['/token/introspection', '/token/revocation'];

/**
 * The engine answers questions about the tokens that it keeps, and it keeps no JWT. Ours have a row like any other, so a JWT
 * of ours is asked about by its `jti`. Any other JWT is asked about by a name that no token has: the engine would say that it
 * cannot be asked about, which tells more than that it is good for nothing.
 *
 * @returns the body to ask the engine with, and the `jti`; undefined where nobody asks about a JWT
 */
export async function asksAbout(
  path: string,
  body: Buffer,
  keys: SigningKeys,
  issuer: string,
): Promise<{ readonly body: Buffer; readonly jti: string } | undefined> {
  if (!ABOUT_TOKENS.includes(path.split('?', 1)[0]!)) return undefined;
  const form = parse(body.toString('utf8'));
  const { token } = form;
  if (typeof token !== 'string' || !token.includes('.')) return undefined;
  const jti = (await jtiOf(token, keys, issuer)) ?? '-';
  return { body: Buffer.from(stringify({ ...form, token: jti })), jti };
}

/** Keys that are published no more, or whose private part somebody has stolen, sign nothing that counts. */
async function jtiOf(token: string, keys: SigningKeys, issuer: string): Promise<string | undefined> {
  const published = createLocalJWKSet({ keys: await keys.jwks() });
  try {
    const { payload } = await jwtVerify(token, published, { issuer, typ: 'at+jwt', algorithms: ['ES256'] });
    return payload.jti;
  } catch {
    return undefined;
  }
}
