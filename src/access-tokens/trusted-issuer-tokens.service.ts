import { Inject, Injectable, Logger, ServiceUnavailableException } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { compactVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { hash, type KeyObject } from 'node:crypto';
import { DataSource } from 'typeorm';
import { unverifiedIssuer } from '../authentication/bearer.js';
import { Settings } from '../config/settings.js';
import { readJws } from '../crypto/jws.js';
import { User } from '../users/user.entity.js';
import { normalizeUsername } from '../users/username.js';
import {
  parseClaims,
  parseIntrospection,
  validityFault,
  type AccessTokenClaims,
} from './access-token-claims.js';
import { RemoteError } from './fetch-json.js';
import { RemoteJwks, discoverJwksUri, type JwsAlgorithm } from './remote-jwks.js';
import { IntrospectionClient } from './token-introspection.js';
import { trustedIssuersConfig, type TrustedIssuer } from './trusted-issuers.config.js';
import { invalidToken, type ResolvedToken } from './verified-token.js';

const MAX_JWT_CHARACTERS = 8_192;
const MAX_CACHED_TOKENS = 10_000;
/** Any other header could choose a key or change how the token is read (RFC 8725 section 3.10). Thumbprints are ignored. */
const ALLOWED_HEADERS = ['alg', 'typ', 'kid', 'x5t', 'x5t#S256'];

type RawClaims = Readonly<Record<string, unknown>>;

interface IssuerClient extends TrustedIssuer {
  readonly jwks: RemoteJwks;
  readonly introspectionClient: IntrospectionClient | undefined;
}

/** The unchanging part of a JWT whose form and signature are valid. */
interface VerifiedJwt {
  readonly algorithm: JwsAlgorithm;
  readonly kid: string;
  readonly key: KeyObject;
  readonly raw: RawClaims;
  readonly claims: AccessTokenClaims;
}

/** The tokens of the issuers in `OAUTH_ISSUERS`: another authorization server, a CI service, a cluster. */
@Injectable()
export class TrustedIssuerTokens {
  private readonly logger = new Logger(TrustedIssuerTokens.name);
  private readonly issuers: ReadonlyMap<string, IssuerClient>;
  private readonly verifiedJwts = new LRUCache<string, VerifiedJwt>({ max: MAX_CACHED_TOKENS });

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
    @Inject(trustedIssuersConfig.KEY) issuers: ConfigType<typeof trustedIssuersConfig>,
  ) {
    const withClients = (issuer: TrustedIssuer): IssuerClient => ({
      ...issuer,
      jwks: new RemoteJwks(
        async () => issuer.jwks_uri ?? discoverJwksUri(issuer.issuer, settings.production),
        (reason) => this.logger.error({ event: 'keys unavailable', issuer: issuer.issuer, reason }),
      ),
      introspectionClient: issuer.introspection && new IntrospectionClient(issuer.introspection),
    });
    this.issuers = new Map(issuers.map((each) => [each.issuer, withClients(each)]));
  }

  trusts(issuer: string | undefined): boolean {
    return issuer !== undefined && this.issuers.has(issuer);
  }

  /**
   * @throws BadCredential
   * @throws ServiceUnavailableException if the issuer's keys are unavailable
   */
  async jwt(token: string): Promise<ResolvedToken> {
    const issuer = this.issuers.get(unverifiedIssuer(token) ?? '');
    if (!issuer) throw invalidToken('untrusted issuer');
    const digest = hash('sha256', token, 'base64url');
    let verified = this.verifiedJwts.get(digest);
    // The issuer may have withdrawn or replaced the key since.
    if (!verified || (await this.findKey(issuer, verified)) !== verified.key)
      this.verifiedJwts.set(digest, (verified = await this.verifyJwt(issuer, token)));
    return this.resolve(issuer, verified.raw, verified.claims);
  }

  /**
   * @returns undefined for a token that is not active, or if no issuer has an introspection endpoint
   * @throws BadCredential
   * @throws ServiceUnavailableException if the issuer cannot be reached
   */
  async opaque(token: string): Promise<ResolvedToken | undefined> {
    const issuer = [...this.issuers.values()].find(({ introspectionClient }) => introspectionClient);
    if (!issuer) return undefined;
    const raw = await issuer
      .introspectionClient!.introspect(token)
      .catch((error: unknown) => this.unavailable(error));
    if (!raw) return undefined;
    const claims = parseIntrospection(raw);
    if (typeof claims === 'string') throw invalidToken(claims);
    if (raw['iss'] !== undefined && raw['iss'] !== issuer.issuer) throw invalidToken('wrong issuer');
    assertAudience(raw, issuer);
    return this.resolve(issuer, raw, { ...claims, scope: claims.scope ?? '' });
  }

  private async verifyJwt(issuer: IssuerClient, token: string): Promise<VerifiedJwt> {
    const jws = readJws(token, { maxLength: MAX_JWT_CHARACTERS });
    if (!jws) throw invalidToken('malformed JWT');
    const { alg, typ, kid } = jws.header;
    const algorithm = issuer.algorithms.find((each) => each === alg);
    if (!algorithm) throw invalidToken('algorithm not configured for the issuer');
    if (!issuer.typ.some((each) => normalizedTyp(each) === normalizedTyp(typ)))
      throw invalidToken('wrong typ');
    if (!Object.keys(jws.header).every((name) => ALLOWED_HEADERS.includes(name)))
      throw invalidToken('header parameter not allowed');
    if (typeof kid !== 'string') throw invalidToken('missing kid');
    const key = await this.findKey(issuer, { kid, algorithm });
    if (!key) throw invalidToken('unknown kid');
    await compactVerify(token, key, { algorithms: [algorithm] }).catch(() => {
      throw invalidToken('invalid signature');
    });
    const raw = jws.claims;
    assertAudience(raw, issuer);
    const claims = parseClaims(raw);
    if (typeof claims === 'string') throw invalidToken(claims);
    // An `at+jwt` names its scopes (RFC 9068 section 2.2.3). Tokens of other types may have no such claim.
    const hasScopes =
      claims.scope !== undefined || claims.authorization_details || normalizedTyp(typ) === 'at+jwt';
    const scope = hasScopes ? (claims.scope ?? '') : issuer.scopes.join(' ');
    return { algorithm, kid, key, raw, claims: { ...claims, scope } };
  }

  private findKey({ jwks }: IssuerClient, { kid, algorithm }: Pick<VerifiedJwt, 'kid' | 'algorithm'>) {
    return jwks.find(kid, algorithm).catch((error: unknown) => this.unavailable(error));
  }

  /** Checks the validity period and reads the account from the database. */
  private async resolve(
    issuer: IssuerClient,
    raw: RawClaims,
    claims: AccessTokenClaims,
  ): Promise<ResolvedToken> {
    const fault = validityFault(claims, Date.now());
    if (fault) throw invalidToken(fault);
    const { sub, client_id } = claims;
    const account =
      sub === undefined
        ? await this.findClientAccount(issuer, client_id)
        : await this.findAccount(issuer, raw[issuer.accounts.claim]);
    if (!account) throw invalidToken(`no account for a token of ${issuer.issuer}`);
    // An issuer is a URL, so the two forms differ.
    const subject =
      sub === undefined ? JSON.stringify([issuer.issuer, client_id]) : `${issuer.issuer} ${sub}`;
    const credentialId = hash('sha256', subject, 'base64url');
    return { account, issuer: issuer.issuer, credentialId, allowedScopes: issuer.scopes, claims };
  }

  private async findAccount({ accounts, tenant }: IssuerClient, value: unknown): Promise<User | null> {
    if (typeof value !== 'string') return null;
    const { manager } = this.dataSource;
    if (!accounts.ids) {
      const username = normalizeUsername(value);
      return username === undefined ? null : manager.findOneBy(User, { tenantId: tenant, username });
    }
    const id = mappedId(accounts.ids, value);
    return id === undefined ? null : manager.findOneBy(User, { tenantId: tenant, id });
  }

  private async findClientAccount({ accounts, tenant }: IssuerClient, clientId = ''): Promise<User | null> {
    const id = mappedId(accounts.clients ?? {}, clientId);
    if (id === undefined) return null;
    return this.dataSource.manager.findOneBy(User, { tenantId: tenant, id, kind: 'client' });
  }

  private unavailable(error: unknown): never {
    if (!(error instanceof RemoteError)) throw error;
    this.logger.error({ event: 'issuer unavailable', reason: error.message });
    throw new ServiceUnavailableException();
  }
}

/** Only own properties: `constructor` must not match. */
const mappedId = (ids: Readonly<Record<string, string>>, value: string): string | undefined =>
  Object.entries(ids).find(([name]) => name === value)?.[1];

/** Exactly one audience, this API: another API that also accepts the token could replay it here. */
function assertAudience({ aud }: RawClaims, { audience }: IssuerClient): void {
  const audiences: unknown[] = [aud].flat();
  if (audiences.length !== 1 || audiences[0] !== audience) throw invalidToken('wrong audience');
}

/** `typ` is case-insensitive and may omit `application/` (RFC 7515 section 4.1.9). */
const normalizedTyp = (typ: unknown) =>
  typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : (typ ?? null);
