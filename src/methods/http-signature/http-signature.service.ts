import { ConflictException, ForbiddenException, Injectable } from '@nestjs/common';
import { randomBytes, randomUUID, type JsonWebKey } from 'node:crypto';
import { DataSource, IsNull } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { type Account, AccountAdministration, AuditPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { importPublicJwk, verifySignature } from './http-signature.algorithms.js';
import { SignatureKey } from './http-signature.entity.js';

const CREDENTIAL_KIND = 'signature-key';
/** The time between the registration of a key and its proof. */
const KEY_PROOF_LIFETIME_MS = 15 * 60_000;

export interface NewSignatureKey {
  readonly name: string;
  readonly jwk: JsonWebKey;
  readonly scopes?: string[] | undefined;
  readonly expiresAt?: Date | undefined;
  /** Absent: the caller's own account. */
  readonly accountId?: string | undefined;
}

/** Registers, proves, lists and revokes an account's own public keys. The server never receives a private key. */
@Injectable()
export class HttpSignatureService {
  private readonly credentials: CredentialsService<SignatureKey>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    administration: AccountAdministration,
    private readonly settings: Settings,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, administration, SignatureKey, {
      kind: CREDENTIAL_KIND,
      method: 'http-signature',
    });
  }

  list(caller: Principal, accountId?: string): Promise<SignatureKey[]> {
    return this.credentials.list(caller, accountId);
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.credentials.revoke(caller, id);
  }

  /**
   * Stores a public key. It cannot sign requests before {@link prove}.
   * @param jwk a key that `importPublicJwk` accepts
   */
  async register(caller: Principal, newKey: NewSignatureKey): Promise<SignatureKey> {
    const { name, jwk, scopes, expiresAt, accountId } = newKey;
    const account = await this.credentials.accountOf(caller, accountId);
    const { key, algorithm } = importPublicJwk(jwk)!;
    const id = randomUUID();
    const createdAt = new Date();
    return this.credentials.add(
      caller,
      this.dataSource.manager.create(SignatureKey, {
        id,
        userId: account.id,
        name,
        algorithm,
        publicJwk: key.export({ format: 'jwk' }) as Record<string, string>,
        challenge: this.challengeFor(account, id),
        challengeUntil: new Date(createdAt.getTime() + KEY_PROOF_LIFETIME_MS),
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
   * Proof of possession: activates a key after its owner has signed the key's challenge. Without it, anyone could register
   * another account's public key, and requests that its owner signs would count for the wrong account.
   *
   * @param signature the signature of `challenge`, with the key's own algorithm
   * @throws ForbiddenException `invalid_key_proof`
   * @throws ConflictException `key_proof_expired` if the key was proved before, or if the challenge has expired
   */
  async prove(caller: Principal, id: string, signature: Buffer): Promise<SignatureKey> {
    const row = await this.credentials.find(caller, id);
    const now = new Date();
    if (row.challengeUntil <= now) throw keyProofExpired();
    const { key } = importPublicJwk(row.publicJwk)!;
    if (!(await verifySignature(row.algorithm, key, row.challenge, signature)))
      throw new ForbiddenException({
        code: 'invalid_key_proof',
        detail: 'The signature does not match the challenge and the registered key.',
      });
    await this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.update(SignatureKey, { id, provedAt: IsNull() }, { provedAt: now });
      if (!affected) throw keyProofExpired();
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: `${CREDENTIAL_KIND}:${id}`,
        details: { proved: true },
      });
    });
    return { ...row, provedAt: now };
  }

  /**
   * The text states its purpose, so that the signer can read it. It can never be a signature base: every signature base
   * begins with a quotation mark (RFC 9421 section 2.5).
   */
  private challengeFor({ id, tenantId }: Account, keyid: string): string {
    const random = randomBytes(16).toString('base64url');
    return `This key signs requests to ${this.settings.publicUrl} for ${id} of ${tenantId}: key ${keyid}, ${random}`;
  }
}

const keyProofExpired = () =>
  new ConflictException({
    code: 'key_proof_expired',
    detail: 'The key was already proved, or its challenge has expired. Register the key again.',
  });
