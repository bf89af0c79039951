import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { AccessKey } from './sigv4.entity.js';
import { newKeyId, newSecret } from './sigv4.js';

/** Where the secrets of all access keys are kept; the owner of each is the key's id. */
export const accessKeyBox = (settings: Settings): SecretBox => new SecretBox(settings, 'access-keys');

/** A key with its secret, which is shown this once. */
export interface Issued {
  readonly row: AccessKey;
  readonly secret: string;
}

/** The life of an account's own access keys. */
@Injectable()
export class SigV4Service {
  private readonly keys: CredentialsService<AccessKey>;
  private readonly box: SecretBox;

  constructor(dataSource: DataSource, audit: AuditPort, settings: Settings) {
    this.keys = new CredentialsService(dataSource, audit, AccessKey, 'access-key');
    this.box = accessKeyBox(settings);
  }

  async issue(
    caller: Principal,
    name: string,
    { scopes, expiresAt }: { scopes?: string[] | undefined; expiresAt?: Date | undefined },
  ): Promise<Issued> {
    const [id, secret] = [newKeyId(), newSecret()];
    const row = await this.keys.add(
      caller,
      Object.assign(new AccessKey(), {
        id,
        userId: caller.id,
        name,
        sealed: this.box.seal(secret, id),
        previousSealed: null,
        previousUntil: null,
        scopes: this.keys.scopesFor(caller, scopes),
        createdAt: new Date(),
        expiresAt: expiresAt ?? null,
        lastUsedAt: null,
        revokedAt: null,
      }),
    );
    return { row, secret };
  }

  list(caller: Principal): Promise<AccessKey[]> {
    return this.keys.list(caller);
  }

  /** A new secret for the same key; the old one stays good for so long, and an older one ends at once. */
  async rotate(caller: Principal, id: string, overlapSeconds: number): Promise<Issued> {
    const { sealed, ...before } = await this.keys.find(caller, id);
    const secret = newSecret();
    const changes = {
      sealed: this.box.seal(secret, id),
      previousSealed: sealed,
      previousUntil: new Date(Date.now() + overlapSeconds * 1000),
    };
    return { row: await this.keys.rotate(caller, { ...before, sealed }, { sealed }, changes), secret };
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
