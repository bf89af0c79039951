import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { Settings } from '../../config/settings.js';
import { principalOf } from '../../users/principal-of.js';
import type { User } from '../../users/user.entity.js';
import { DigestAccounts } from './digest.accounts.js';
import { REALM, digestConfig, type DigestConfig } from './digest.config.js';
import { DigestNonceCounts } from './digest.counts.js';
import { DigestGuesses } from './digest.guesses.js';
import { formatAuthenticationInfo, computeResponse, sameHash, type Algorithm } from './digest.js';
import { StatelessNonces, type StatelessNonce } from '../../crypto/stateless-nonce.js';
import { MalformedDigest, parseDigest, hasDigestScheme, type DigestAuthorization } from './digest.parser.js';

/** One code for every wrong answer, whatever is wrong with it; the log has the reason. */
const CODE = 'invalid_digest';
/** A 400, says RFC 7616, section 3.4: this may be an answer that was taken from another request. */
const ELSEWHERE = {
  code: 'digest_uri_mismatch',
  detail: 'The uri of the Digest answer is not the target of this request.',
};
const EMPTY = Buffer.alloc(0);
const NONCE_LIFETIME_MS = 5 * 60_000;

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
  /** Who reads an answer cannot send it again, and can try passwords against it at home. */
  readonly sendsSecret = true;
  private readonly config: DigestConfig;
  private readonly nonces: StatelessNonces;

  constructor(
    settings: Settings,
    private readonly accounts: DigestAccounts,
    private readonly counts: DigestNonceCounts,
    private readonly guesses: DigestGuesses,
  ) {
    super();
    this.config = digestConfig(settings);
    this.nonces = digestNonces(settings);
    this.challenge = this.ask(this.config.algorithms[0]!, {});
  }

  /** One for each algorithm, the best one first: a client takes the first that it knows. */
  challenges(): [Challenge, ...Challenge[]] {
    const nonce = this.nonces.issue();
    const [first, ...others] = this.config.algorithms.map((each) => this.ask(each, { nonce }));
    return [first!, ...others];
  }

  claims(request: AuthRequest): boolean {
    return hasDigestScheme(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const answer = this.read(request);
    const nonce = this.nonces.verify(answer.nonce);
    if (!nonce) throw refused('the nonce is not one of ours');
    if (answer.uri !== request.target) throw new BadRequestException(ELSEWHERE);
    const account = await this.accounts.find(answer);
    const { ha1, user, flaw } = account;
    // Always computed and compared, also where no answer is good.
    const expected = computeResponse(ha1, answer, request.method, request.rawBody ?? EMPTY);
    const right = sameHash(answer.response, expected) && !flaw;
    const good = right && !nonce.expired && (await this.counts.use(nonce, answer.nc));
    const outcome = good ? 'good' : right ? 'right' : 'wrong';
    await this.guesses.settle(outcome, answer.username, account, request.ip);
    if (!right || !user) throw refused(flaw ?? `wrong answer for the account ${user?.id}`, user);
    if (!good) throw refused('the nonce is old, or its count was used', user, { stale: 'true' });
    this.confirm(request, answer, nonce, ha1);
    const proof = { method: 'digest', at: new Date(), amr: ['pwd'], bound: false } as const;
    return principalOf(user, proof, refused);
  }

  /** The cheap checks, before anything is looked up. */
  private read(request: AuthRequest): DigestAuthorization {
    const answer = parsed(request.header('Authorization') ?? '');
    if (!this.config.algorithms.includes(answer.algorithm) || !this.config.qops.includes(answer.qop))
      throw refused('the algorithm or the qop was not offered');
    if (answer.realm !== REALM) throw refused('the realm is another one');
    return answer;
  }

  /** Shows the caller that this server knows the password too, and where the answer is covered, that it is as it was sent. */
  private confirm(request: AuthRequest, answer: DigestAuthorization, nonce: StatelessNonce, ha1: string): void {
    const next = nonce.renewalDue ? this.nonces.issue() : undefined;
    const info = (body: Buffer) => formatAuthenticationInfo(answer, computeResponse(ha1, answer, '', body), next);
    if (answer.qop === 'auth') request.setHeader('Authentication-Info', info(EMPTY));
    else request.onSend(({ body }) => ({ 'Authentication-Info': info(body) }));
  }

  private ask(algorithm: Algorithm, nonce: { nonce?: string }): Challenge {
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

function parsed(authorization: string): DigestAuthorization {
  try {
    return parseDigest(authorization);
  } catch (error) {
    throw error instanceof MalformedDigest ? refused(error.message) : error;
  }
}

function refused(reason: string, user?: User, params: Record<string, string> = {}): BadCredential {
  const refusal = new BadCredential(CODE, reason, params);
  return user ? refusal.ofAccount(user) : refusal;
}
