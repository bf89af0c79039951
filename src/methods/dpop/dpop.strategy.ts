import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LRUCache } from 'lru-cache';
import type { KeyObject } from 'node:crypto';
import { Strategy } from 'passport-custom';
import { AccessTokensService } from '../../access-tokens/access-tokens.service.js';
import { principalFromToken } from '../../access-tokens/verified-token.js';
import { BadCredential, Challenge, Unauthenticated } from '../../authentication/challenge.js';
import { tokenFromHeader } from '../../authentication/bearer.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { StatelessNonces, type StatelessNonce } from '../../crypto/stateless-nonce.js';
import { ALGORITHMS, publicKeyOf, verify, type ProofKey } from './dpop.keys.js';
import { ProofError, faultOf, normalUri, readProof, type Proof } from './dpop.js';

const CODE = 'invalid_dpop_proof';
const REMEMBERED = 10_000;
const NONCE_LIFETIME_MS = 2 * 60_000;

/** The nonces of RFC 9449 section 8. A nonce may carry several proofs; the `jti` of each proof is unique. */
export const dpopNonces = (settings: Settings): StatelessNonces =>
  new StatelessNonces(settings, {
    purpose: 'dpop nonces',
    context: settings.publicUrl,
    lifetimeMs: NONCE_LIFETIME_MS,
    randomBytes: 0,
  });

/**
 * An access token, and a proof that the caller has its key. The cheap comes first: the token's signature is remembered, so it
 * costs one query; and until it has said that it is bound to the proof's key, nobody looks at that one.
 */
@Injectable()
export class DpopStrategy extends PassportStrategy(Strategy, 'dpop') implements AuthStrategy {
  readonly namesRequirement = true;
  readonly challenge: Challenge;
  private readonly nonces: StatelessNonces;
  /** Only of keys that a token is bound to. */
  private readonly keys = new LRUCache<string, KeyObject>({ max: REMEMBERED });

  constructor(
    private readonly settings: Settings,
    private readonly tokens: AccessTokensService,
    private readonly oneTime: ReplayStore,
  ) {
    super();
    this.nonces = dpopNonces(settings);
    this.challenge = new Challenge('DPoP', {
      realm: 'auth-atlas',
      algs: ALGORITHMS.join(' '),
      resource_metadata: tokens.metadataUrl,
    });
  }

  /** With a nonce, so that whoever comes without a credential need not come twice. */
  challenges(): [Challenge] {
    return [new Challenge('DPoP', this.challenge.params, { headers: { 'DPoP-Nonce': this.nonces.issue() } })];
  }

  /** The whole scheme: no other method speaks it. */
  claims(request: AuthRequest): boolean {
    return tokenFromHeader(request, 'DPoP') !== undefined;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const accessToken = tokenFromHeader(request, 'DPoP')!;
    const proof = proofOf(request);
    const token = await this.tokens.verify(accessToken, request, proof.key.thumbprint);
    const wrong = (reason: string) => refused(reason).ofAccount(token.account);
    const fault = faultOf(proof.claims, {
      method: request.method,
      uris: this.urisOf(request),
      accessToken,
      now: Date.now() / 1000,
    });
    if (fault) throw wrong(fault);
    const nonce = this.nonces.verify(proof.claims.nonce ?? '');
    if (!nonce || nonce.expired) throw this.askForNonce();
    if (!(await this.isSigned(proof))) throw wrong('its signature is wrong');
    const principal = principalFromToken('dpop', token);
    if (!(await this.isFirst(proof, nonce))) throw wrong('it came twice');
    if (nonce.renewalDue) request.setHeader('DPoP-Nonce', this.nonces.issue());
    return principal;
  }

  /**
   * What the request's target is called. In production the one origin of `PUBLIC_URL`, whatever the request or a proxy
   * says; elsewhere the name that it was called by as well.
   */
  private urisOf({ target, secure, authority }: AuthRequest): string[] {
    const { publicUrl, production } = this.settings;
    const origins = production ? [publicUrl] : [publicUrl, `${secure ? 'https' : 'http'}://${authority}`];
    return origins.flatMap((origin) => normalUri(origin + target) ?? []);
  }

  private async isSigned({ key, signed, signature }: Proof): Promise<boolean> {
    const publicKey = this.keyOf(key);
    return publicKey !== undefined && verify(key.algorithm, publicKey, signed, signature);
  }

  private keyOf(key: ProofKey): KeyObject | undefined {
    const known = this.keys.get(key.thumbprint) ?? publicKeyOf(key);
    if (known) this.keys.set(key.thumbprint, known);
    return known;
  }

  /** Last of all: nobody but the key's owner can use a `jti` up. Not by the proof's text, of which ECDSA has two. */
  private isFirst({ key, claims }: Proof, { expiresAt }: StatelessNonce): Promise<boolean> {
    return this.oneTime.use(
      `dpop proof by ${key.thumbprint}`,
      claims.jti,
      new Date(expiresAt.getTime() + 1_000),
    );
  }

  /** No wrong credential: the client could not know (RFC 9449, section 9). */
  private askForNonce(): Unauthenticated {
    return new Unauthenticated(
      this.challenges().map((challenge) => challenge.with({ error: 'use_dpop_nonce' })),
      'use_dpop_nonce',
      'The proof needs the nonce that stands in DPoP-Nonce.',
    );
  }
}

function proofOf(request: AuthRequest): Proof {
  try {
    return readProof(request.header('DPoP') ?? '');
  } catch (error) {
    throw error instanceof ProofError ? refused(error.message) : error;
  }
}

const refused = (reason: string) => new BadCredential(CODE, `the proof: ${reason}`, { error: CODE });
