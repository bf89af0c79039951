import { parse, stringify } from 'node:querystring';
import { jwtVerify } from 'jose';
import type { SigningKeys } from '../../../crypto/index.js';

/** Where a token is asked about, or ended: RFC 7662 and RFC 7009. */
export const ABOUT_TOKENS = ['/token/introspection', '/token/revocation'];

/**
 * The engine answers questions about the tokens that it keeps, and it keeps no JWT. Ours have a row like any other, so a JWT
 * of ours is asked about by its `jti`.
 *
 * @returns the body to ask the engine with, and the `jti`; undefined where the token is no JWT of ours
 */
export async function asksAbout(
  body: Buffer,
  keys: SigningKeys,
  issuer: string,
): Promise<{ readonly body: Buffer; readonly jti: string } | undefined> {
  const form = parse(body.toString('utf8'));
  const { token } = form;
  if (typeof token !== 'string' || !token.includes('.')) return undefined;
  try {
    const { payload } = await jwtVerify(token, async ({ kid }) => (await keys.find(kid ?? ''))!, {
      issuer,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    });
    return { body: Buffer.from(stringify({ ...form, token: payload.jti! })), jti: payload.jti! };
  } catch {
    return undefined;
  }
}
