import { describe, expect, it } from '@jest/globals';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { decodeAttestationObject, parseAuthenticatorData } from '@simplewebauthn/server/helpers';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { assertTrustedAuthenticator } from '../../src/methods/passkey/passkey.attestation.js';
import { assertOneCborItem } from '../../src/methods/passkey/passkey.cbor.js';
import type { TrustedAuthenticators } from '../../src/methods/passkey/passkey.config.js';
import {
  bytesOf,
  ES256,
  InvalidPasskeyResponse,
  RS256,
  verifyAssertion,
  verifyRegistration,
} from '../../src/methods/passkey/passkey.js';
import { algorithmOf } from '../../src/methods/passkey/passkey.keys.js';
import { AssertionResponse, RegistrationResponse } from '../../src/methods/passkey/passkey.schemas.js';

interface Vector {
  readonly name: string;
  readonly registration: Readonly<
    Record<'challenge' | 'credentialId' | 'clientDataJSON' | 'attestationObject', string>
  >;
  readonly authentication: Readonly<
    Record<'challenge' | 'authenticatorData' | 'clientDataJSON' | 'signature', string>
  >;
}

const { rpId, origin, attestationRoot, vectors } = JSON.parse(
  readFileSync(new URL('passkey.vectors.json', import.meta.url), 'utf8'),
) as { rpId: string; origin: string; attestationRoot: string; vectors: Vector[] };
const root = new X509Certificate(Buffer.from(attestationRoot, 'hex'));
const rp = { rpId, origins: [origin] };
const vector = (name: string) => vectors.find((each) => each.name === name)!;
const base64url = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');

const envelope = ({ registration }: Vector) => {
  const id = base64url(registration.credentialId);
  return { id, rawId: id, type: 'public-key', clientExtensionResults: {} };
};
const registrationOf = (from: Vector) =>
  RegistrationResponse.parse({
    ...envelope(from),
    response: {
      clientDataJSON: base64url(from.registration.clientDataJSON),
      attestationObject: base64url(from.registration.attestationObject),
    },
  });
const assertionOf = (from: Vector) => {
  const { challenge: _, ...response } = from.authentication;
  const members = Object.entries(response).map(([name, hex]) => [name, base64url(hex)]);
  return AssertionResponse.parse({ ...envelope(from), response: Object.fromEntries(members) });
};
const register = (from: Vector) =>
  verifyRegistration(rp, base64url(from.registration.challenge), registrationOf(from));
const registerTrusted = async (from: Vector, trusted: TrustedAuthenticators) => {
  const registration = await register(from);
  assertTrustedAuthenticator(registration, trusted);
  return registration;
};
/** Sets the flag of user verification. Where this changes it, the attestation is no longer genuine. */
const claimUserVerification = (from: Vector): Vector => {
  const flags = new RegExp(`(?<=${createHash('sha256').update(rpId).digest('hex')})..`);
  const attestationObject = from.registration.attestationObject.replace(flags, (hex) =>
    (Number.parseInt(hex, 16) | 4).toString(16),
  );
  return { ...from, registration: { ...from.registration, attestationObject } };
};
const publicKeyOf = ({ registration }: Vector) => {
  const attestation = decodeAttestationObject(bytesOf(base64url(registration.attestationObject)));
  const { credentialPublicKey } = parseAuthenticatorData(attestation.get('authData'));
  return Buffer.from(credentialPublicKey!).toString('base64url');
};
const authenticate = (from: Vector, requireUserVerification: boolean) =>
  verifyAssertion(
    rp,
    base64url(from.authentication.challenge),
    { credentialId: envelope(from).id, publicKey: publicKeyOf(from) },
    assertionOf(from),
    requireUserVerification,
  );

describe('the test vectors of Web Authentication Level 3, section 16', () => {
  it.each(vectors)('$name is well-formed', (each) => {
    assertOneCborItem(Buffer.from(each.registration.attestationObject, 'hex'));
    expect(envelope(each).id).toBe(registrationOf(each).id);
  });

  it('self attestation registers a passkey', async () => {
    const each = vector('packed-self.ES256');
    expect(await register(each)).toMatchObject({
      fmt: 'packed',
      aaguid: 'df850e09-db6a-fbdf-ab51-697791506cfc',
      userVerified: true,
      credentialDeviceType: 'multiDevice',
      credentialBackedUp: true,
      credential: { id: envelope(each).id, counter: 0 },
    });
  });

  it('self attestation is no attestation by a manufacturer', async () => {
    const registration = await register(vector('packed-self.ES256'));
    expect(() => assertTrustedAuthenticator(registration, { roots: [] })).toThrow(
      'no certificate attests it',
    );
  });

  it.each([
    ['packed.ES256', ES256, '876ca4f5-2071-c3e9-b255-09ef2cdf7ed6'],
    ['packed.RS256', RS256, '428f8878-298b-9862-a36a-d8c7527bfef2'],
  ])('%s registers a passkey', async (name, algorithm, aaguid) => {
    const registration = await register(vector(name));
    expect(registration).toMatchObject({ fmt: 'packed', aaguid, userVerified: true });
    expect(algorithmOf(registration.credential.publicKey)).toBe(algorithm);
  });

  it.each(['packed.ES256', 'packed.RS256'])(
    '%s is a trusted authenticator under its own root',
    async (name) => {
      const { aaguid } = await registerTrusted(vector(name), { roots: [root] });
      await registerTrusted(vector(name), { roots: [root], aaguids: [aaguid] });
    },
  );

  it.each(['packed.ES256', 'packed.RS256'])(
    '%s is not trusted under other roots or AAGUIDs',
    async (name) => {
      const roots = rootCertificates.map((pem) => new X509Certificate(pem));
      await expect(registerTrusted(vector(name), { roots })).rejects.toThrow('lead to no trusted root');
      const aaguids = ['df850e09-db6a-fbdf-ab51-697791506cfc'];
      await expect(registerTrusted(vector(name), { roots: [root], aaguids })).rejects.toThrow(
        'its AAGUID is not listed',
      );
    },
  );

  it.each([
    'none.ES256',
    'none.ES256.long-credential-id',
    'packed.ES384',
    'packed.EdDSA',
    'packed.Ed448',
    'apple.ES256',
    'fido-u2f.ES256',
  ])('%s registers none, because the person was not verified', async (name) => {
    await expect(register(vector(name))).rejects.toThrow(/user could not be verified/);
  });

  it('user verification claimed after the attestation is rejected', async () => {
    await expect(register(claimUserVerification(vector('packed.EdDSA')))).rejects.toThrow(
      'the attestation signature is wrong',
    );
  });

  it.each(['packed.ES384', 'packed.ES512', 'packed.Ed448'])(
    '%s registers none, because its algorithm was not offered',
    async (name) => {
      const each = claimUserVerification(vector(name));
      await expect(register(each)).rejects.toThrow('Unexpected public key alg');
      expect(() => algorithmOf(bytesOf(publicKeyOf(each)))).toThrow(InvalidPasskeyResponse);
    },
  );

  it.each([
    ['tpm.ES256', 'the manufacturer of the TPM is unknown', 'Could not match TPM manufacturer'],
    ['android-key.ES256', 'its certificate comes without its issuer', 'certificate path (Android Key)'],
    ['apple.ES256', 'its certificate is not from Apple', 'any specified trust anchor (Apple)'],
    ['fido-u2f.ES256', 'its AAGUID is not zero', 'the response is invalid (AAGUID)'],
  ])('%s registers none with or without trusted roots, because %s', async (name, _, reason) => {
    const each = claimUserVerification(vector(name));
    await expect(register(each)).rejects.toThrow(InvalidPasskeyResponse);
    await expect(registerTrusted(each, { roots: [root] })).rejects.toThrow(reason);
  });

  it.each([
    'none.ES256',
    'packed-self.ES256',
    'packed.RS256',
    'packed.EdDSA',
    'android-key.ES256',
    'apple.ES256',
    'fido-u2f.ES256',
  ])('%s is a second factor, and no sign-in alone', async (name) => {
    expect(await authenticate(vector(name), false)).toMatchObject({ userVerified: false, newCounter: 0 });
    await expect(authenticate(vector(name), true)).rejects.toThrow(/user could not be verified/);
  });

  it.each(['packed.ES256', 'tpm.ES256'])('%s signs in alone', async (name) => {
    expect(await authenticate(vector(name), true)).toMatchObject({ userVerified: true, newCounter: 0 });
  });

  it('packed.Ed448 signs nobody in, because no signature of its algorithm is verified', async () => {
    await expect(authenticate(vector('packed.Ed448'), false)).rejects.toThrow('Public key had invalid alg');
  });

  it('a credential id of 1023 bytes signs in', async () => {
    const each = vector('none.ES256.long-credential-id');
    expect(each.registration.credentialId).toHaveLength(2 * 1_023);
    expect(await authenticate(each, true)).toMatchObject({ userVerified: true });
  });

  it.each(['none.ES256.crossOrigin', 'none.ES256.topOrigin'])('%s is rejected', async (name) => {
    await expect(register(vector(name))).rejects.toThrow('the page was embedded in another site');
    await expect(authenticate(vector(name), false)).rejects.toThrow('the page was embedded in another site');
  });

  it('the library alone accepts crossOrigin without topOrigin', async () => {
    const each = vector('none.ES256.crossOrigin');
    const common = { expectedOrigin: origin, expectedRPID: rpId };
    const registered = await verifyRegistrationResponse({
      ...common,
      response: registrationOf(each),
      expectedChallenge: base64url(each.registration.challenge),
    });
    const authenticated = await verifyAuthenticationResponse({
      ...common,
      response: assertionOf(each),
      expectedChallenge: base64url(each.authentication.challenge),
      credential: { id: envelope(each).id, publicKey: bytesOf(publicKeyOf(each)), counter: 0 },
    });
    expect([registered.verified, authenticated.verified]).toEqual([true, true]);
  });

  it.each(vectors)('$name with one changed bit in its signature is rejected', async (each) => {
    const signature = Buffer.from(each.authentication.signature, 'hex');
    signature[signature.length - 1]! ^= 1;
    const changed = {
      ...each,
      authentication: { ...each.authentication, signature: signature.toString('hex') },
    };
    await expect(authenticate(changed, false)).rejects.toThrow();
  });
});
