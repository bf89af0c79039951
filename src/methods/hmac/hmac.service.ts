import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AccountAdministration, AuditPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { HmacKey } from './hmac.entity.js';
import { newKeyId, newSecret } from './hmac.js';

export interface NewHmacKey {
  readonly name: string;
  readonly scopes?: readonly string[] | undefined;
  readonly expiresAt?: Date | undefined;
  /** Absent: the caller's own account. */
  readonly accountId?: string | undefined;
}

/** A key with its secret, which is returned only once. */
export interface IssuedHmacKey {
  readonly row: HmacKey;
  readonly secret: string;
}

/** Issues, lists, rotates and revokes an account's own keys. */
@Injectable()
export class HmacService {
  private readonly credentials: CredentialsService<HmacKey>;

  constructor(
    dataSource: DataSource,
    audit: AuditPort,
    administration: AccountAdministration,
    private readonly box: SecretBox,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, administration, HmacKey, {
      kind: 'hmac-key',
      method: 'hmac',
    });
  }

  async issue(caller: Principal, key: NewHmacKey): Promise<IssuedHmacKey> {
    const { name, scopes, expiresAt, accountId = caller.id } = key;
    const [id, secret] = [newKeyId(), newSecret()];
    const row = await this.credentials.add(
      caller,
      Object.assign(new HmacKey(), {
        id,
        userId: accountId,
        name,
        sealed: this.box.seal(secret, id),
        previousSealed: null,
        previousUntil: null,
        scopes: this.credentials.scopesFor(caller, scopes),
        createdAt: new Date(),
        expiresAt: expiresAt ?? null,
        lastUsedAt: null,
        revokedAt: null,
      }),
    );
    return { row, secret };
  }

  list(caller: Principal, accountId?: string): Promise<HmacKey[]> {
    return this.credentials.list(caller, accountId);
  }

  /** Replaces the secret of a key. The previous secret stays valid for `overlapSeconds`. */
  async rotate(caller: Principal, id: string, overlapSeconds: number): Promise<IssuedHmacKey> {
    const secret = newSecret();
    const columns = { current: 'sealed', previous: 'previousSealed' } as const;
    const sealed = this.box.seal(secret, id);
    return {
      row: await this.credentials.rotateSecret(caller, id, columns, sealed, overlapSeconds),
      secret,
    };
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.credentials.revoke(caller, id);
  }
}
