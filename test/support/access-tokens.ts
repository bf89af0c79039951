import { randomBytes, sign } from 'node:crypto';
import type { QueryDeepPartialEntity } from 'typeorm';
import { AccessToken, accessTokenId, type AccessTokenContent } from '../../src/access-tokens/access-token.entity.js';
import { Settings } from '../../src/config/settings.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { User } from '../../src/users/user.entity.js';
import type { Running } from '../method.contract.js';
import { SCOPES } from '../../src/permissions.js';

/** An access token as its holder has it, and what the server can do to it. */
export interface IssuedToken {
  readonly token: string;
  /** That of its row. */
  readonly id: string;
  readonly revoke: () => Promise<void>;
  readonly expire: () => Promise<void>;
}

export interface TokenOptions {
  readonly format?: 'jwt' | 'opaque';
  readonly clientId?: string;
  readonly scope?: string;
  readonly cnf?: { readonly jkt?: string; readonly 'x5t#S256'?: string };
  /** Over what its row says, and over the content of that. */
  readonly row?: Partial<AccessToken>;
  readonly content?: Partial<AccessTokenContent>;
  /** Over what a JWT says; undefined leaves a claim out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Over what a JWT's header says. */
  readonly header?: Readonly<Record<string, unknown>>;
}

/** Seconds: longer than a bench. */
const LIFETIME = 600;

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A JWT with this header and these claims, signed by our own key that is active. */
export async function signedByUs(
  { app, db }: Pick<Running, 'app' | 'db'>,
  claims: object,
  header: object = {},
): Promise<string> {
  const { kid, key } = await app.get(SigningKeys).active(db.manager);
  const input = [{ alg: 'ES256', typ: 'at+jwt', kid, ...header }, claims].map(encode).join('.');
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** An access token of ours for a demo account, with its row, made without the authorization server. */
export async function issueAccessToken(
  running: Pick<Running, 'app' | 'db'>,
  userId: string,
  options: TokenOptions = {},
): Promise<IssuedToken> {
  const { format = 'jwt', clientId = 'web', scope = SCOPES.join(' '), cnf } = options;
  const { app, db } = running;
  const { publicUrl } = app.get(Settings);
  const account = await db.manager.findOneByOrFail(User, { id: userId });
  const iat = Math.floor(Date.now() / 1000);
  const text = randomBytes(32).toString('base64url');
  const id = accessTokenId(format, text);
  const content: AccessTokenContent = {
    aud: publicUrl,
    scope,
    iat,
    ...cnf,
    ...(account.kind === 'user' && { extra: { auth_time: iat, amr: ['pwd'] } }),
    ...options.content,
  };
  const row = { id, accountId: userId, clientId, grantId: null, epoch: account.epoch, content };
  await db.manager.insert(AccessToken, {
    ...row,
    expiresAt: new Date((iat + LIFETIME) * 1000),
    ...options.row,
  } as QueryDeepPartialEntity<AccessToken>);
  const claims = {
    iss: `${publicUrl}/oidc`,
    aud: publicUrl,
    sub: userId,
    client_id: clientId,
    jti: text,
    iat,
    exp: iat + LIFETIME,
    scope,
    ...content.extra,
    ...(cnf && { cnf }),
    ...options.claims,
  };
  return {
    token: format === 'jwt' ? await signedByUs(running, claims, options.header) : text,
    id,
    revoke: async () => void (await db.manager.delete(AccessToken, { id })),
    expire: async () => void (await db.manager.update(AccessToken, { id }, { expiresAt: new Date() })),
  };
}

/** A token of a good form, of the issuer that the tests' application is, that no key of ours has signed. */
export const NOBODYS_JWT = [
  encode({ alg: 'ES256', typ: 'at+jwt', kid: 'nobody' }),
  encode({ iss: 'http://localhost:0/oidc', sub: 'bob' }),
  Buffer.alloc(64, 1).toString('base64url'),
].join('.');
