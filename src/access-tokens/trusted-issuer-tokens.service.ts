import { Injectable, Logger, ServiceUnavailableException } from '@nestjs/common';
import { compactVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { createHash, type KeyObject } from 'node:crypto';
import { DataSource } from 'typeorm';
import { unverifiedIssuer } from '../authentication/bearer.js';
import { Settings } from '../config/settings.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../users/user-row.js';
import { normalizeUsername } from '../users/username.js';
import type { User } from '../users/user.entity.js';
import { readClaims, validityFault, type Claims } from './access-token-claims.js';
import { discoverKeys } from './discovery.js';
import { Introspection } from './token-introspection.js';
import { trustedIssuers, type TrustedIssuer } from './trusted-issuers.config.js';
import { KeySet, type Algorithm } from './remote-jwks.js';
import { RemoteFailure } from './fetch-json.js';
import { invalidToken, type Source } from './verified-token.js';
import { readJws } from '../crypto/jws.js';

const LONGEST = 8_192;
const REMEMBERED = 10_000;
/** Thumbprints choose nothing here; anything else could choose a key or change how the token is read (RFC 8725, 3.10). */
const HARMLESS = ['alg', 'typ', 'kid', 'x5t', 'x5t#S256'];

type Said = Readonly<Record<string, unknown>>;

interface Trusted extends TrustedIssuer {
  readonly keys: KeySet;
  readonly endpoint: Introspection | undefined;
}

/** What never changes of a token whose form and signature are good. */
interface Signed {
  readonly algorithm: Algorithm;
  readonly kid: string;
  readonly key: KeyObject;
  readonly said: Said;
  readonly claims: Claims;
}

/** The tokens of other issuers, those that the configuration trusts: another authorization server, a CI, a cluster. */
@Injectable()
export class TrustedIssuerTokens {
  private readonly logger = new Logger(TrustedIssuerTokens.name);
  private readonly issuers: ReadonlyMap<string, Trusted>;
  private readonly remembered = new LRUCache<string, Signed>({ max: REMEMBERED });
  private readonly sql: (column: 'id' | 'username') => string;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.issuers = new Map(
      trustedIssuers(settings).map((each) => [
        each.issuer,
        {
          ...each,
          keys: new KeySet(
            async () => each.jwks_uri ?? discoverKeys(each.issuer, settings.production),
            (reason) => this.logger.error({ event: 'keys unavailable', issuer: each.issuer, reason }),
          ),
          endpoint: each.introspection && new Introspection(each.introspection),
        },
      ]),
    );
    const parameter = (place: number) => dataSource.driver.createParameter('', place);
    this.sql = (column) =>
      `SELECT ${USER_COLUMNS} FROM users account
       WHERE account."tenantId" = ${parameter(0)} AND account.${column} = ${parameter(1)}`;
  }

  knows(issuer: string | undefined): boolean {
    return issuer !== undefined && this.issuers.has(issuer);
  }

  /**
   * @throws BadCredential
   * @throws ServiceUnavailableException where the issuer's keys are not to be had
   */
  async jwt(token: string): Promise<[Source, Claims]> {
    const issuer = this.issuers.get(unverifiedIssuer(token) ?? '');
    if (!issuer) throw invalidToken('another issuer');
    const digest = createHash('sha256').update(token).digest('base64url');
    let signed = this.remembered.get(digest);
    // The key may have been withdrawn or replaced since.
    if (!signed || (await this.keyOf(issuer, signed)) !== signed.key)
      this.remembered.set(digest, (signed = await this.signed(issuer, token)));
    return this.resolve(issuer, signed.said, signed.claims);
  }

  /**
   * @returns undefined for a token that nobody knows
   * @throws BadCredential
   * @throws ServiceUnavailableException where the issuer cannot be asked
   */
  async opaque(token: string): Promise<[Source, Claims] | undefined> {
    const issuer = [...this.issuers.values()].find(({ endpoint }) => endpoint);
    if (!issuer) return undefined;
    const said = await issuer.endpoint!.ask(token).catch((error: unknown) => this.unavailable(error));
    if (!said) return undefined;
    const claims = readClaims(said);
    if (typeof claims === 'string') throw invalidToken(claims);
    if (said['iss'] !== undefined && said['iss'] !== issuer.issuer) throw invalidToken('another issuer');
    assertAudience(said, issuer);
    return this.resolve(issuer, said, claims);
  }

  private async signed(issuer: Trusted, token: string): Promise<Signed> {
    const read = readJws(token, { longest: LONGEST });
    if (!read) throw invalidToken('not a JWS in its compact form');
    const { alg, typ, kid } = read.header;
    const algorithm = issuer.algorithms.find((each) => each === alg);
    if (!algorithm) throw invalidToken('an algorithm that its issuer does not use');
    if (!issuer.typ.some((each) => typeOf(each) === typeOf(typ))) throw invalidToken('another type of JWT');
    if (!Object.keys(read.header).every((name) => HARMLESS.includes(name)))
      throw invalidToken('a header that says more than it should');
    if (typeof kid !== 'string') throw invalidToken('no kid');
    const key = await this.keyOf(issuer, { kid, algorithm });
    if (!key) throw invalidToken('unknown kid');
    await compactVerify(token, key, { algorithms: [algorithm] }).catch(() => {
      throw invalidToken('the signature is wrong');
    });
    const said = read.claims;
    assertAudience(said, issuer);
    const claims = readClaims(said);
    if (typeof claims === 'string') throw invalidToken(claims);
    return { algorithm, kid, key, said, claims };
  }

  private keyOf({ keys }: Trusted, { kid, algorithm }: Pick<Signed, 'kid' | 'algorithm'>) {
    return keys.find(kid, algorithm).catch((error: unknown) => this.unavailable(error));
  }

  /** The account as it is now. */
  private async resolve(issuer: Trusted, said: Said, claims: Claims): Promise<[Source, Claims]> {
    const fault = validityFault(claims, Date.now());
    if (fault) throw invalidToken(fault);
    const account = await this.accountOf(issuer, said[issuer.accounts.claim]);
    if (!account) throw invalidToken(`${issuer.issuer} speaks of nobody who has an account here`);
    const credentialId = createHash('sha256').update(`${issuer.issuer} ${claims.sub}`).digest('base64url');
    const { scope, authorization_details: details } = claims;
    return [
      { account, issuer: issuer.issuer, credentialId, scopes: issuer.scopes },
      // What says nothing of scopes reaches all that its issuer's tokens may.
      scope === undefined && !details ? { ...claims, scope: issuer.scopes.join(' ') } : claims,
    ];
  }

  private async accountOf({ accounts, tenant }: Trusted, value: unknown): Promise<User | undefined> {
    if (typeof value !== 'string') return undefined;
    const { ids } = accounts;
    const name = ids ? Object.entries(ids).find(([each]) => each === value)?.[1] : normalizeUsername(value);
    if (name === undefined) return undefined;
    const [row] = await this.dataSource.query<UserRow[]>(this.sql(ids ? 'id' : 'username'), [tenant, name]);
    return row && userFromRow(row);
  }

  private unavailable(error: unknown): never {
    if (!(error instanceof RemoteFailure)) throw error;
    this.logger.error({ event: 'issuer unavailable', reason: error.message });
    throw new ServiceUnavailableException();
  }
}

/** One audience, and ours: a token that is good elsewhere too could be replayed here from there. */
function assertAudience({ aud }: Said, { audience }: Trusted): void {
  const meant: unknown[] = [aud].flat();
  if (meant.length !== 1 || meant[0] !== audience) throw invalidToken('another audience');
}

/** Types are written without `application/`, and in any case (RFC 7515, section 4.1.9). */
const typeOf = (typ: unknown) =>
  typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : (typ ?? null);
