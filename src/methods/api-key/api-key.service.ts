import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AccountAdministration, AuditPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { ApiKey } from './api-key.entity.js';
import { containsRange, mintKey, newKeyId } from './api-key.js';

/** A key's row, and the key itself, which is shown once and not stored. */
export interface IssuedKey {
  readonly row: ApiKey;
  readonly key: string;
}

/** Manages an account's own API keys. A key may create child keys within its limits; they are revoked with it. */
@Injectable()
export class ApiKeyService {
  private readonly credentials: CredentialsService<ApiKey>;

  constructor(dataSource: DataSource, audit: AuditPort, administration: AccountAdministration) {
    this.credentials = new CredentialsService(dataSource, audit, administration, ApiKey, {
      kind: 'api-key',
      method: 'api-key',
      isWithin,
    });
  }

  /**
   * @param requested limits; an absent one is that of the key in use
   * @param accountId absent: the caller's own account
   */
  async issue(
    caller: Principal,
    name: string,
    requested: Partial<Pick<ApiKey, 'scopes' | 'allowedIps' | 'expiresAt'>>,
    accountId = caller.id,
  ): Promise<IssuedKey> {
    const parent = await this.credentials.parentOf(caller);
    const id = newKeyId();
    const { key, secretHash } = mintKey(id);
    const row = await this.credentials.add(caller, {
      id,
      userId: accountId,
      name,
      secretHash,
      previousHash: null,
      previousUntil: null,
      scopes: this.credentials.scopesFor(caller, requested.scopes ?? undefined),
      allowedIps: requested.allowedIps ?? parent?.allowedIps ?? null,
      expiresAt: requested.expiresAt ?? parent?.expiresAt ?? null,
      parentId: parent?.id ?? null,
      createdAt: new Date(),
      lastUsedAt: null,
      revokedAt: null,
    });
    return { row, key };
  }

  list(caller: Principal, accountId?: string): Promise<ApiKey[]> {
    return this.credentials.list(caller, accountId);
  }

  async rotate(caller: Principal, id: string, overlapSeconds: number): Promise<IssuedKey> {
    const { key, secretHash } = mintKey(id);
    const columns = { current: 'secretHash', previous: 'previousHash' } as const;
    const row = await this.credentials.rotateSecret(caller, id, columns, secretHash, overlapSeconds);
    return { row, key };
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.credentials.revoke(caller, id);
  }
}

/** Whether a key ends with another at the latest, and works from no other addresses. */
function isWithin(child: ApiKey, parent: ApiKey): boolean {
  if (parent.expiresAt && (!child.expiresAt || child.expiresAt > parent.expiresAt)) return false;
  if (!parent.allowedIps) return true;
  const outer = parent.allowedIps;
  return Boolean(child.allowedIps?.every((inner) => outer.some((range) => containsRange(range, inner))));
}
