import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { SoftwareAuthenticator, type StoredKey } from '../../src/methods/passkey/passkey.client.js';

/** The parts of a response that an attacker changes. Everything is signed, as by a malicious authenticator or browser. */
export interface Changes {
  /** Members of the client data. */
  readonly clientData?: Readonly<Record<string, unknown>>;
  readonly rpId?: string;
  /** Flags to remove: 0x01 user present, 0x04 user verified. */
  readonly withoutFlags?: number;
  readonly counter?: number;
  /** Members of the COSE key. */
  readonly coseKey?: ReadonlyMap<number, number | Buffer>;
}

export class ForgingAuthenticator extends SoftwareAuthenticator {
  changes: Changes = {};
  nextCredentialId?: Buffer;
  override aaguid = Buffer.alloc(16);
  keyType: 'ES256' | 'EdDSA' | 'RS256' = 'ES256';
  modulusLength = 2048;

  protected override newCredentialId(): Buffer {
    return this.nextCredentialId ?? super.newCredentialId();
  }

  protected override newKey() {
    const { privateKey, coseKey } = this.honestKey();
    for (const [label, value] of this.changes.coseKey ?? []) coseKey.set(label, value);
    return { privateKey, coseKey };
  }

  protected override sign(data: Buffer, privateKey: KeyObject): Buffer {
    return sign(this.keyType === 'EdDSA' ? null : 'sha256', data, privateKey);
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

  private honestKey() {
    if (this.keyType === 'ES256') return super.newKey();
    const { privateKey, publicKey } =
      this.keyType === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: this.modulusLength });
    const { x = '', n = '', e = '' } = publicKey.export({ format: 'jwk' });
    const bytes = (text: string) => Buffer.from(text, 'base64url');
    const members: [number, number | Buffer][] =
      this.keyType === 'EdDSA'
        ? [
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, bytes(x)],
          ]
        : [
            [1, 3],
            [3, -257],
            [-1, bytes(n)],
            [-2, bytes(e)],
          ];
    return { privateKey, coseKey: new Map(members) };
  }
}
