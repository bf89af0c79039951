import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** The options of a creation request, as `POST /passkeys/options` returns them. */
interface CreationOptions {
  readonly challenge: string;
  readonly rp: { readonly id?: string };
  readonly user: { readonly id: string };
}
/** The options of a request for a signature, as `POST /auth/passkey/options` returns them. */
interface RequestOptions {
  readonly challenge: string;
  readonly rpId?: string;
  readonly allowCredentials?: readonly { readonly id: string }[];
}

export interface StoredKey {
  readonly credentialId: string;
  readonly rpId: string;
  readonly userHandle: string;
  readonly privateKey: KeyObject;
  counter: number;
}

/** The flags of authenticator data (section 6.1). */
const [USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL] = [0x01, 0x04, 0x40];

/**
 * An authenticator in software with ES256, for tests and scripts: it does what a browser and a security key do together. A person
 * uses the browser's `navigator.credentials` instead.
 */
export class SoftwareAuthenticator {
  protected readonly keys: StoredKey[] = [];
  /** Whether it verifies the person, with a PIN for example. */
  verifiesUser = true;
  /** Its model. Zeros: it does not tell. */
  protected aaguid = Buffer.alloc(16);

  /** @param origin of the page that would call `navigator.credentials` */
  constructor(protected readonly origin: string) {}

  /** Creates a passkey. @returns a `RegistrationResponseJSON` */
  create({ challenge, rp: { id = new URL(this.origin).hostname }, user }: CreationOptions) {
    const { privateKey, coseKey } = this.newKey();
    const credentialId = this.newCredentialId();
    const key: StoredKey = {
      credentialId: credentialId.toString('base64url'),
      rpId: id,
      userHandle: user.id,
      privateKey,
      counter: 0,
    };
    this.keys.push(key);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(credentialId.length);
    const authData = Buffer.concat([
      this.authenticatorData(key, HAS_CREDENTIAL),
      this.aaguid,
      length,
      credentialId,
      cbor(coseKey),
    ]);
    const attestation = new Map<string, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', authData],
    ]);
    return {
      ...this.envelope(key),
      response: {
        clientDataJSON: this.clientData('webauthn.create', challenge).toString('base64url'),
        attestationObject: cbor(attestation).toString('base64url'),
        transports: ['internal'],
      },
    };
  }

  /** Signs a challenge. @returns an `AuthenticationResponseJSON` */
  get({ challenge, rpId = new URL(this.origin).hostname, allowCredentials = [] }: RequestOptions) {
    const key = this.keys.findLast(
      ({ credentialId, rpId: own }) =>
        own === rpId && (!allowCredentials.length || allowCredentials.some(({ id }) => id === credentialId)),
    );
    if (!key) throw new Error(`This authenticator has no passkey for ${rpId}.`);
    key.counter++;
    const clientData = this.clientData('webauthn.get', challenge);
    const authenticatorData = this.authenticatorData(key, 0);
    const signed = Buffer.concat([authenticatorData, sha256(clientData)]);
    return {
      ...this.envelope(key),
      response: {
        clientDataJSON: clientData.toString('base64url'),
        authenticatorData: authenticatorData.toString('base64url'),
        signature: this.sign(signed, key.privateKey).toString('base64url'),
        userHandle: key.userHandle,
      },
    };
  }

  private envelope({ credentialId }: StoredKey) {
    return {
      id: credentialId,
      rawId: credentialId,
      type: 'public-key' as const,
      authenticatorAttachment: 'platform' as const,
      clientExtensionResults: {},
    };
  }

  /** A key for ES256, and its public part as COSE_Key (RFC 9053 section 7.1). */
  protected newKey(): { privateKey: KeyObject; coseKey: Map<number, number | Buffer> } {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const coseKey = new Map<number, number | Buffer>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(x, 'base64url')],
      [-3, Buffer.from(y, 'base64url')],
    ]);
    return { privateKey, coseKey };
  }

  protected sign(data: Buffer, privateKey: KeyObject): Buffer {
    return sign('sha256', data, privateKey);
  }

  protected newCredentialId(): Buffer {
    return randomBytes(32);
  }

  protected clientData(type: string, challenge: string): Buffer {
    return Buffer.from(JSON.stringify({ type, challenge, origin: this.origin, crossOrigin: false }));
  }

  protected authenticatorData({ rpId, counter }: StoredKey, flags: number): Buffer {
    const fixed = Buffer.alloc(5);
    fixed[0] = flags | USER_PRESENT | (this.verifiesUser ? USER_VERIFIED : 0);
    fixed.writeUInt32BE(counter, 1);
    return Buffer.concat([sha256(rpId), fixed]);
  }
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest();

/** Encodes integers, text, bytes, lists and maps in CBOR (RFC 8949). */
export function cbor(value: unknown): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string')
    return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  if (value instanceof Map) return Buffer.concat([head(5, value.size), ...[...value].flat().map(cbor)]);
  throw new TypeError('This value is not supported.');
}

/** The type and the length, in the shortest form. */
function head(type: number, length: number): Buffer {
  if (length < 24) return Buffer.from([(type << 5) | length]);
  if (length < 256) return Buffer.from([(type << 5) | 24, length]);
  const bytes = Buffer.from([(type << 5) | 25, 0, 0]);
  bytes.writeUInt16BE(length, 1);
  return bytes;
}
