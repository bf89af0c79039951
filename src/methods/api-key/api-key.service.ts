import { ConflictException, ForbiddenException, Injectable, NotFoundException } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, IsNull, type Repository } from 'typeorm';
import { scopesInclude, type Principal } from '../../authentication/principal.js';
import { AuditPort, type AuditEntry } from '../../authentication/ports.js';
import { ApiKey } from './api-key.entity.js';
import { containsRange, mintKey, newKeyId } from './api-key.js';

/** So that one stolen credential cannot fill the table. */
const MOST_KEYS = 100;

/** What a key may do at most. */
type Limits = Pick<ApiKey, 'scopes' | 'allowedIps' | 'expiresAt'>;

/** The life of an account's own keys. A limited credential can manage only what is limited at least as much. */
@Injectable()
export class ApiKeyService {
  constructor(
    @InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>,
    private readonly audit: AuditPort,
  ) {}

  /** @throws ForbiddenException `limited_credential` where the key would reach further than the caller */
  async issue(
    caller: Principal,
    name: string,
    wanted: Partial<Limits>,
  ): Promise<{ row: ApiKey; key: string }> {
    const parent = await this.callersKey(caller);
    const limits: Limits = {
      scopes: wanted.scopes ?? (caller.scopes ? [...caller.scopes] : null),
      allowedIps: wanted.allowedIps ?? parent?.allowedIps ?? null,
      expiresAt: wanted.expiresAt ?? parent?.expiresAt ?? null,
    };
    refuseBeyond(caller, parent, limits);
    if ((await this.keys.countBy({ userId: caller.id, revokedAt: IsNull() })) >= MOST_KEYS)
      throw new ConflictException({
        code: 'too_many_credentials',
        detail: `An account has at most ${MOST_KEYS} keys. Revoke one first.`,
      });
    const id = newKeyId();
    const { key, secretHash } = mintKey(id);
    const row = this.keys.create({
      id,
      userId: caller.id,
      name,
      secretHash,
      ...limits,
      parentId: parent?.id ?? null,
      createdAt: new Date(),
      previousHash: null,
      previousUntil: null,
      lastUsedAt: null,
      revokedAt: null,
    });
    await this.keys.manager.transaction(async (manager) => {
      // Taking the parent's row makes this wait for its revocation, or its revocation for this: no child slips by.
      const taken =
        parent && (await manager.update(ApiKey, { id: parent.id, revokedAt: IsNull() }, { id: parent.id }));
      if (taken?.affected === 0) throw beyond();
      await manager.insert(ApiKey, row);
      await this.audit.append(manager, about(id, 'authn_token_created', caller));
    });
    return { row, key };
  }

  list(caller: Principal): Promise<ApiKey[]> {
    return this.keys.find({
      where: { userId: caller.id, revokedAt: IsNull() },
      order: { createdAt: 'DESC', id: 'ASC' },
    });
  }

  /**
   * A new secret for the same key. The old one stays good for `overlapSeconds`, so that callers can change over;
   * a rotation during an overlap ends the oldest at once.
   *
   * @throws ConflictException `concurrent_rotation` where another rotation came first
   */
  async rotate(caller: Principal, id: string, overlapSeconds: number): Promise<{ row: ApiKey; key: string }> {
    const before = await this.manageable(caller, id);
    const { key, secretHash } = mintKey(id);
    const previousUntil = new Date(Date.now() + overlapSeconds * 1000);
    const changes = { secretHash, previousHash: before.secretHash, previousUntil };
    await this.keys.manager.transaction(async (manager) => {
      const { affected } = await manager.update(
        ApiKey,
        { id, secretHash: before.secretHash, revokedAt: IsNull() },
        changes,
      );
      if (!affected)
        throw new ConflictException({
          code: 'concurrent_rotation',
          detail: 'The credential was changed by another request. Read it again.',
        });
      await this.audit.append(manager, about(id, 'authn_token_created', caller, { rotated: true }));
    });
    return { row: { ...before, ...changes }, key };
  }

  /** Ends a key at once, with all that were made by it. */
  async revoke(caller: Principal, id: string): Promise<void> {
    await this.manageable(caller, id);
    await this.keys.manager.transaction(async (manager) => {
      const revokedAt = new Date();
      const ended: string[] = [];
      for (let ids = [id]; ids.length;) {
        for (const each of ids) {
          const { affected } = await manager.update(ApiKey, { id: each, revokedAt: IsNull() }, { revokedAt });
          if (affected) ended.push(each);
        }
        ids = (await manager.findBy(ApiKey, { parentId: In(ids) })).map((child) => child.id).sort();
      }
      await this.audit.append(manager, ...ended.map((each) => about(each, 'authn_token_revoked', caller)));
    });
  }

  /** @throws NotFoundException for a key that is not the caller's, exactly as for one that does not exist */
  private async manageable(caller: Principal, id: string): Promise<ApiKey> {
    const key = await this.keys.findOneBy({ id, userId: caller.id, revokedAt: IsNull() });
    if (!key) throw new NotFoundException({ code: 'not_found', detail: 'You have no such key.' });
    refuseBeyond(caller, await this.callersKey(caller), key);
    return key;
  }

  private async callersKey({ proofs }: Principal): Promise<ApiKey | null> {
    const id = proofs.find((proof) => proof.method === 'api-key')?.credentialId;
    return id === undefined ? null : this.keys.findOneBy({ id });
  }
}

function refuseBeyond(caller: Principal, parent: ApiKey | null, key: Limits): void {
  const within =
    scopesInclude(caller.scopes, key.scopes ?? undefined) &&
    // How far another method's credential is restricted, a key cannot hold to.
    !caller.proofs.some(({ method, restricted }) => restricted && method !== 'api-key') &&
    (!parent?.expiresAt || (key.expiresAt !== null && key.expiresAt <= parent.expiresAt)) &&
    (!parent?.allowedIps ||
      key.allowedIps?.every((inner) => parent.allowedIps?.some((outer) => containsRange(outer, inner))));
  if (!within) throw beyond();
}

const beyond = () =>
  new ForbiddenException({
    code: 'limited_credential',
    detail: 'It would exceed the scopes, expiry or addresses of the credential you sent.',
  });

const about = (
  id: string,
  event: AuditEntry['event'],
  actor: Principal,
  details: AuditEntry['details'] = {},
): AuditEntry => ({
  event,
  actor,
  target: `api-key:${id}`,
  details,
});
