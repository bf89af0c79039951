import { randomBytes, sign } from 'node:crypto';
import type { QueryDeepPartialEntity } from 'typeorm';
import {
  AccessToken,
  accessTokenId,
  type AccessTokenContent,
} from '../../src/access-tokens/access-token.entity.js';
import { Settings } from '../../src/config/settings.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { User } from '../../src/users/user.entity.js';
import type { Running } from '../method.contract.js';
import { SCOPES } from '../../src/permissions.js';

/** An access token and the means to invalidate it. */
export interface IssuedToken {
  readonly token: string;
  /** The id of its row. */
  readonly id: string;
  readonly revoke: () => Promise<void>;
  readonly expire: () => Promise<void>;
}

export interface TokenOptions {
  readonly format?: 'jwt' | 'opaque';
  readonly clientId?: string;
  readonly scope?: string;
  readonly cnf?: { readonly jkt?: string; readonly 'x5t#S256'?: string };
  /** Overrides columns of the row. */
  readonly row?: Partial<AccessToken>;
  /** Overrides the content of the row. */
  readonly content?: Partial<AccessTokenContent>;
  /** Overrides claims of a JWT; undefined omits one. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Overrides headers of a JWT. */
  readonly header?: Readonly<Record<string, unknown>>;
}

/** Longer than a benchmark runs. */
const LIFETIME_SECONDS = 600;

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** Signs a JWT with the server's active key. */
export async function signWithActiveKey(
  { app, db }: Pick<Running, 'app' | 'db'>,
  claims: object,
  header: object = {},
): Promise<string> {
  const { kid, key } = await app.get(SigningKeys).active(db.manager);
  const input = [{ alg: 'ES256', typ: 'at+jwt', kid, ...header }, claims].map(encode).join('.');
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** Creates an access token of this server for a demo account, with its row, without the authorization server. */
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
    expiresAt: new Date((iat + LIFETIME_SECONDS) * 1000),
    ...options.row,
  } as QueryDeepPartialEntity<AccessToken>);
  const claims = {
    iss: `${publicUrl}/oidc`,
    aud: publicUrl,
    sub: userId,
    client_id: clientId,
    jti: text,
    iat,
    exp: iat + LIFETIME_SECONDS,
    scope,
    ...content.extra,
    ...(cnf && { cnf }),
    ...options.claims,
  };
  return {
    token: format === 'jwt' ? await signWithActiveKey(running, claims, options.header) : text,
    id,
    revoke: async () => void (await db.manager.delete(AccessToken, { id })),
    expire: async () => void (await db.manager.update(AccessToken, { id }, { expiresAt: new Date() })),
  };
}

/** A well-formed JWT of the test application's issuer with an invalid signature. */
export const FORGED_JWT = [
  encode({ alg: 'ES256', typ: 'at+jwt', kid: 'unknown' }),
  encode({ iss: 'http://localhost:0/oidc', sub: 'bob' }),
  Buffer.alloc(64, 1).toString('base64url'),
].join('.');
