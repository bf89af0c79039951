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
import { PROOF_ALGORITHMS, importProofKey, verifySignature, type ProofKey } from './dpop.keys.js';
import { InvalidProof, normalizeUri, parseProof, proofFault, type DpopProof } from './dpop.js';

/** RFC 9449 section 7.1. */
const ERROR_CODE = 'invalid_dpop_proof';
const MAX_CACHED_KEYS = 10_000;
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
 * Verifies an access token and the proof that the client holds its key (RFC 9449 section 4.3). The cheap checks come
 * first: the token, whose verified signature is cached, then the claims and the nonce, then the proof's signature.
 */
@Injectable()
export class DpopStrategy extends PassportStrategy(Strategy, 'dpop') implements AuthStrategy {
  readonly namesRequirement = true;
  readonly challenge: Challenge;
  private readonly nonces: StatelessNonces;
  /** By thumbprint. Holds only keys that an access token is bound to. */
  private readonly keys = new LRUCache<string, KeyObject>({ max: MAX_CACHED_KEYS });

  constructor(
    private readonly settings: Settings,
    private readonly tokens: AccessTokensService,
    private readonly replayStore: ReplayStore,
  ) {
    super();
    this.nonces = dpopNonces(settings);
    this.challenge = new Challenge('DPoP', {
      realm: 'auth-atlas',
      algs: PROOF_ALGORITHMS.join(' '),
      resource_metadata: tokens.metadataUrl,
    });
  }

  /** Carries a nonce, so that a client without a credential needs only one more request. */
  challenges(): [Challenge] {
    return [new Challenge('DPoP', this.challenge.params, { headers: { 'DPoP-Nonce': this.nonces.issue() } })];
  }

  claims(request: AuthRequest): boolean {
    return tokenFromHeader(request, 'DPoP') !== undefined;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const accessToken = tokenFromHeader(request, 'DPoP')!;
    const proof = proofOf(request);
    const token = await this.tokens.verify(accessToken, request, proof.key.thumbprint);
    const rejectedProof = (reason: string) => invalidCredential(reason).ofAccount(token.account);
    const fault = proofFault(proof.claims, {
      method: request.method,
      uris: this.urisOf(request),
      accessToken,
      now: Date.now() / 1000,
    });
    if (fault) throw rejectedProof(fault);
    const nonce = this.nonces.verify(proof.claims.nonce ?? '');
    if (!nonce || nonce.expired) throw this.nonceRequired();
    if (!(await this.hasValidSignature(proof))) throw rejectedProof('its signature is wrong');
    const principal = principalFromToken('dpop', token);
    // Last, so that only the holder of the key can use up a jti.
    if (!(await this.isFirstUse(proof, nonce))) throw rejectedProof('its jti was used before');
    if (nonce.renewalDue) request.setHeader('DPoP-Nonce', this.nonces.issue());
    return principal;
  }

  /**
   * The URIs that `htu` may hold. In production only `PUBLIC_URL` counts, so that a forged Host header is useless.
   * Elsewhere the request's own host counts too.
   */
  private urisOf({ target, secure, authority }: AuthRequest): string[] {
    const { publicUrl, production } = this.settings;
    const origins = production ? [publicUrl] : [publicUrl, `${secure ? 'https' : 'http'}://${authority}`];
    return origins.flatMap((origin) => normalizeUri(origin + target) ?? []);
  }

  private async hasValidSignature({ key, signingInput, signature }: DpopProof): Promise<boolean> {
    const publicKey = this.importKey(key);
    return publicKey !== undefined && verifySignature(key.algorithm, publicKey, signingInput, signature);
  }

  private importKey(key: ProofKey): KeyObject | undefined {
    const imported = this.keys.get(key.thumbprint) ?? importProofKey(key);
    if (imported) this.keys.set(key.thumbprint, imported);
    return imported;
  }

  /** Compares the `jti` and not the proof's text: each ECDSA signature has a second valid form. */
  private isFirstUse({ key, claims }: DpopProof, { expiresAt }: StatelessNonce): Promise<boolean> {
    return this.replayStore.use(`dpop proof by ${key.thumbprint}`, claims.jti, expiresAt);
  }

  /** Not a `BadCredential`: the client could not know the nonce (RFC 9449 section 9). */
  private nonceRequired(): Unauthenticated {
    return new Unauthenticated(
      this.challenges().map((challenge) => challenge.with({ error: 'use_dpop_nonce' })),
      'use_dpop_nonce',
      'The proof needs a nonce. Use the value of the DPoP-Nonce header.',
    );
  }
}

function proofOf(request: AuthRequest): DpopProof {
  try {
    return parseProof(request.header('DPoP') ?? '');
  } catch (error) {
    throw error instanceof InvalidProof ? invalidCredential(error.message) : error;
  }
}

const invalidCredential = (reason: string) =>
  new BadCredential(ERROR_CODE, `the proof: ${reason}`, { error: ERROR_CODE });
