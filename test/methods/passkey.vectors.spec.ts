import { describe, expect, it } from '@jest/globals';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { decodeAttestationObject, parseAuthenticatorData } from '@simplewebauthn/server/helpers';
import { readFileSync } from 'node:fs';
import { assertTrustedAuthenticator } from '../../src/methods/passkey/passkey.attestation.js';
import { assertOneCborItem } from '../../src/methods/passkey/passkey.cbor.js';
import { bytesOf, verifyAssertion, verifyRegistration } from '../../src/methods/passkey/passkey.js';
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

const { rpId, origin, vectors } = JSON.parse(
  readFileSync(new URL('passkey.vectors.json', import.meta.url), 'utf8'),
) as { rpId: string; origin: string; vectors: Vector[] };
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

  it.each(['none.ES256', 'none.ES256.long-credential-id', 'packed.EdDSA'])(
    '%s registers none, because the person was not verified',
    async (name) => {
      await expect(register(vector(name))).rejects.toThrow(/user could not be verified/);
    },
  );

  it.each(['none.ES256', 'packed-self.ES256', 'packed.EdDSA'])(
    '%s is a second factor, and no sign-in alone',
    async (name) => {
      expect(await authenticate(vector(name), false)).toMatchObject({ userVerified: false, newCounter: 0 });
      await expect(authenticate(vector(name), true)).rejects.toThrow(/user could not be verified/);
    },
  );

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
