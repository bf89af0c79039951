import { SoftwareAuthenticator, type StoredKey } from '../../src/methods/passkey/passkey.client.js';

/** The parts of a response that an attacker changes. Everything is signed, as by a malicious authenticator or browser. */
export interface Changes {
  /** Members of the client data. */
  readonly clientData?: Readonly<Record<string, unknown>>;
  readonly rpId?: string;
  /** Flags to remove: 0x01 user present, 0x04 user verified. */
  readonly withoutFlags?: number;
  readonly counter?: number;
}

export class ForgingAuthenticator extends SoftwareAuthenticator {
  changes: Changes = {};
  nextCredentialId?: Buffer;
  override algorithm = -7;
  override aaguid = Buffer.alloc(16);

  protected override newCredentialId(): Buffer {
    return this.nextCredentialId ?? super.newCredentialId();
  }

  protected override clientData(type: string, challenge: string): Buffer {
    const honest = JSON.parse(super.clientData(type, challenge).toString()) as object;
    return Buffer.from(JSON.stringify({ ...honest, ...this.changes.clientData }));
  }

  protected override authenticatorData(key: StoredKey, flags: number): Buffer {
    const { rpId = key.rpId, counter = key.counter, withoutFlags = 0 } = this.changes;
    const data = super.authenticatorData({ ...key, rpId, counter }, flags);
    data[32]! &= ~withoutFlags;
    return data;
  }
}
