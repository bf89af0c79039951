import { ConflictException, ForbiddenException, Injectable } from '@nestjs/common';
import { randomBytes, randomUUID, type JsonWebKey } from 'node:crypto';
import { DataSource, IsNull } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { importPublicJwk, verifySignature } from './http-signature.algorithms.js';
import { SignatureKey } from './http-signature.entity.js';

const KIND = 'signature-key';
/** How long a registered key may wait for its proof. */
const PROVABLE_MS = 15 * 60_000;

export interface NewSignatureKey {
  readonly name: string;
  readonly jwk: JsonWebKey;
  readonly scopes?: string[] | undefined;
  readonly expiresAt?: Date | undefined;
}

/** The life of an account's own keys. The private halves never come here. */
@Injectable()
export class HttpSignatureService {
  private readonly credentials: CredentialsService<SignatureKey>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly settings: Settings,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, SignatureKey, KIND);
  }

  list(caller: Principal): Promise<SignatureKey[]> {
    return this.credentials.list(caller);
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.credentials.revoke(caller, id);
  }

  /** @param jwk one that `publicKeyOf` takes */
  register(caller: Principal, { name, jwk, scopes, expiresAt }: NewSignatureKey): Promise<SignatureKey> {
    const { key, algorithm } = importPublicJwk(jwk)!;
    const id = randomUUID();
    const createdAt = new Date();
    return this.credentials.add(
      caller,
      this.dataSource.manager.create(SignatureKey, {
        id,
        userId: caller.id,
        name,
        algorithm,
        publicJwk: key.export({ format: 'jwk' }) as Record<string, string>,
        challenge: this.challengeFor(caller, id),
        challengeUntil: new Date(createdAt.getTime() + PROVABLE_MS),
        provedAt: null,
        scopes: this.credentials.scopesFor(caller, scopes),
        createdAt,
        expiresAt: expiresAt ?? null,
        lastUsedAt: null,
        revokedAt: null,
      }),
    );
  }

  /**
   * Lets a key sign once its owner has shown to have the private half: else anybody could enter another's public key as
   * an own one, and what that key signs would be read as coming from the wrong account.
   *
   * @throws ForbiddenException `invalid_key_proof`
   * @throws ConflictException `key_proof_expired` where it was proved before, or the time for it is over
   */
  async prove(caller: Principal, id: string, signature: Buffer): Promise<SignatureKey> {
    const row = await this.credentials.find(caller, id);
    const now = new Date();
    if (row.challengeUntil <= now) throw over();
    const { key } = importPublicJwk(row.publicJwk)!;
    if (!(await verifySignature(row.algorithm, key, row.challenge, signature)))
      throw new ForbiddenException({
        code: 'invalid_key_proof',
        detail: 'This is not the signature of the challenge by the key that was registered.',
      });
    await this.dataSource.transaction(async (manager) => {
      const unproved = { id, provedAt: IsNull() };
      const { affected } = await manager.update(SignatureKey, unproved, { provedAt: now });
      if (!affected) throw over();
      const details = { proved: true };
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: `${KIND}:${id}`,
        details,
      });
    });
    return { ...row, provedAt: now };
  }

  /** Whoever signs it can read what it is for. A signature base begins with a quote, so it is never one. */
  private challengeFor({ id, tenantId }: Principal, keyid: string): string {
    const random = randomBytes(16).toString('base64url');
    return `This key signs requests to ${this.settings.publicUrl} for ${id} of ${tenantId}: key ${keyid}, ${random}`;
  }
}

const over = () =>
  new ConflictException({
    code: 'key_proof_expired',
    detail: 'The key is proved already, or the time to prove it is over: register it anew.',
  });
