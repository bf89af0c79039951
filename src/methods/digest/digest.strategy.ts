import { Inject, BadRequestException, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { beforeSend } from '../../authentication/on-send.js';
import { rejectCrossSiteWrite, type AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { StatelessNonces, type StatelessNonce } from '../../crypto/stateless-nonce.js';
import { LoginAttempts, type AttemptOutcome } from '../../passwords/login-attempts.service.js';
import { VerifiedPasswords } from '../../passwords/verified-passwords.js';
import { type User, principalOf } from '../../users/user.entity.js';
import { normalizeUsername } from '../../users/username.js';
import { REALM, digestConfig } from './digest.config.js';
import { DigestCredentials, type DigestAccount } from './digest.credentials.service.js';
import { computeResponse, formatAuthenticationInfo, type DigestAlgorithm } from './digest.js';
import { DigestNonceCounts } from './digest.nonce-counts.service.js';
import { MalformedDigest, hasDigestScheme, parseDigest, type DigestAuthorization } from './digest.parser.js';

/** One code for every rejection, so that a caller cannot probe for accounts. The log has the reason. */
const ERROR_CODE = 'invalid_digest';
const NONCE_LIFETIME_MS = 5 * 60_000;
const NO_BODY = Buffer.alloc(0);

/** The nonces of this server, valid for one realm. */
export const digestNonces = (settings: Settings, realm = REALM): StatelessNonces =>
  new StatelessNonces(settings, {
    purpose: 'digest nonces',
    context: realm,
    lifetimeMs: NONCE_LIFETIME_MS,
    randomBytes: 10,
  });

@Injectable()
export class DigestStrategy extends PassportStrategy(Strategy, 'digest') implements AuthStrategy {
  readonly challenge: Challenge;
  /** A response cannot be replayed, but passwords can be guessed from it offline. So HTTPS is required. */
  readonly sendsSecret = true;
  private readonly nonces: StatelessNonces;
  private readonly verified = new VerifiedPasswords();

  constructor(
    private readonly settings: Settings,
    @Inject(digestConfig.KEY) private readonly config: ConfigType<typeof digestConfig>,
    private readonly credentials: DigestCredentials,
    private readonly nonceCounts: DigestNonceCounts,
    private readonly attempts: LoginAttempts,
  ) {
    super();
    this.nonces = digestNonces(settings);
    this.challenge = this.challengeFor(this.config.algorithms[0]!, {});
  }

  /** One challenge for each algorithm, the preferred one first. */
  challenges(): [Challenge, ...Challenge[]] {
    const nonce = this.nonces.issue();
    const [first, ...others] = this.config.algorithms.map((each) => this.challengeFor(each, { nonce }));
    return [first!, ...others];
  }

  claims(request: AuthRequest): boolean {
    return hasDigestScheme(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    rejectCrossSiteWrite(request, (origin) => this.settings.isOwnOrigin(origin));
    const authorization = this.parse(request);
    const nonce = this.nonces.verify(authorization.nonce);
    if (!nonce) throw invalidCredential('this server did not issue the nonce');
    // RFC 7616 section 3.4.6 requires 400: the response may be a copy from another request.
    if (authorization.uri !== request.target)
      throw new BadRequestException({
        code: 'digest_uri_mismatch',
        detail: 'The uri of the Digest credentials is not the target of this request.',
      });

    const account = await this.credentials.find(authorization);
    const { ha1, user, fault } = account;
    // Compute and compare in every case, so that every rejection takes the same time.
    const expected = computeResponse(ha1, authorization, request.method, request.rawBody ?? NO_BODY);
    const isCorrect = constantTimeEqual(authorization.response, expected) && !fault;
    const isFresh = isCorrect && !nonce.expired && (await this.nonceCounts.use(nonce, authorization.nc));
    const outcome = isFresh ? 'success' : isCorrect ? 'stale' : 'failure';
    await this.countAttempt(outcome, authorization.username, account, request.ip);
    if (!isCorrect || !user)
      throw invalidCredential(fault ?? `wrong response for the account ${user?.id}`, user);
    if (!isFresh)
      throw invalidCredential('the nonce has expired or its count was used', user, { stale: 'true' });

    this.sendAuthenticationInfo(request, authorization, nonce, ha1);
    const proof = {
      method: 'digest',
      at: new Date(),
      amr: FACTORS.digest.amr,
      bound: false,
      signIn: true,
    } as const;
    return principalOf(user, proof, invalidCredential);
  }

  private parse(request: AuthRequest): DigestAuthorization {
    const authorization = parseOrReject(request.header('Authorization') ?? '');
    const { algorithms, qops } = this.config;
    if (!algorithms.includes(authorization.algorithm) || !qops.includes(authorization.qop))
      throw invalidCredential('the algorithm or the qop was not offered');
    if (authorization.realm !== REALM) throw invalidCredential('another realm');
    return authorization;
  }

  /**
   * Counts the attempt together with all password guesses, before the caller learns the outcome. After a success the same
   * account is not counted for five minutes from the same address, so that not every request writes the counters.
   *
   * @throws TooManyAttempts after too many failures for the account or from the address, even if the response is correct
   */
  private async countAttempt(
    outcome: AttemptOutcome,
    username: string,
    { user, sealed }: DigestAccount,
    ip: string,
  ): Promise<void> {
    const name = user?.username ?? normalizeUsername(username) ?? username;
    const count = async () => {
      const attempt = await this.attempts.open(name, user?.id ?? '', ip);
      await this.attempts.count(attempt, () => Promise.resolve(outcome));
    };
    if (outcome === 'success') await this.verified.once(ip, [sealed], count);
    else await count();
  }

  /** Proves to the caller that this server knows the password (RFC 7616 section 3.5). With `auth-int` it covers the body. */
  private sendAuthenticationInfo(
    request: AuthRequest,
    authorization: DigestAuthorization,
    nonce: StatelessNonce,
    ha1: string,
  ): void {
    const nextNonce = nonce.renewalDue ? this.nonces.issue() : undefined;
    const info = (body: Buffer) =>
      formatAuthenticationInfo(authorization, computeResponse(ha1, authorization, '', body), nextNonce);
    if (authorization.qop === 'auth') request.setHeader('Authentication-Info', info(NO_BODY));
    else beforeSend(request.response, ({ body }) => ({ 'Authentication-Info': info(body) }));
  }

  private challengeFor(algorithm: DigestAlgorithm, nonce: { nonce?: string }): Challenge {
    const params = {
      realm: REALM,
      qop: this.config.qops.join(', '),
      algorithm,
      ...nonce,
      charset: 'UTF-8',
      ...(algorithm !== 'MD5' && { userhash: 'true' }),
    };
    return new Challenge('Digest', params, { tokens: ['algorithm', 'charset', 'userhash', 'stale'] });
  }
}

function parseOrReject(header: string): DigestAuthorization {
  try {
    return parseDigest(header);
  } catch (error) {
    throw error instanceof MalformedDigest ? invalidCredential(error.message) : error;
  }
}

function invalidCredential(reason: string, user?: User, params: Record<string, string> = {}): BadCredential {
  const error = new BadCredential(ERROR_CODE, reason, params);
  return user ? error.ofAccount(user) : error;
}
