import { z } from 'zod';
import { text } from '../../authentication/describe.js';

/** Bytes in base64url without padding, in the one form that encoders write. */
const bytes = (max: number) =>
  z
    .string()
    .min(1)
    .max(Math.ceil((max * 4) / 3))
    .regex(/^[\w-]+$/)
    .refine((value) => Buffer.from(value, 'base64url').toString('base64url') === value, 'must be base64url');

/** The longest credential id (section 4). */
const CredentialId = bytes(1_023);
const ClientData = bytes(3_000);
const AuthenticatorData = bytes(3_000);
const Transports = z.array(text(32, 1)).max(8);

/** Bytes of an example. */
const SOME = 'AAAAAAAAAAAAAAAAAAAAAA';
const ENVELOPE_EXAMPLE = { id: SOME, rawId: SOME, type: 'public-key', clientExtensionResults: {} } as const;
export const ASSERTION_EXAMPLE = {
  ...ENVELOPE_EXAMPLE,
  response: { clientDataJSON: SOME, authenticatorData: SOME, signature: SOME, userHandle: SOME },
};
export const REGISTRATION_EXAMPLE = {
  ...ENVELOPE_EXAMPLE,
  response: { clientDataJSON: SOME, attestationObject: SOME, transports: ['internal'] },
};

const ENVELOPE = {
  id: CredentialId,
  rawId: CredentialId,
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
  clientExtensionResults: z.looseObject({}),
};

/** `PublicKeyCredential.toJSON()` after `navigator.credentials.create()` (section 5.1). Members that the server ignores are dropped. */
export const RegistrationResponse = z
  .strictObject({
    ...ENVELOPE,
    response: z.strictObject({
      clientDataJSON: ClientData,
      // A TPM's attestation has several certificates.
      attestationObject: bytes(24_000),
      transports: Transports.optional(),
      authenticatorData: z.string().optional(),
      publicKey: z.string().nullish(),
      publicKeyAlgorithm: z.number().optional(),
    }),
  })
  .meta({ id: 'PasskeyRegistration' })
  .transform(({ id, rawId, type, response: { clientDataJSON, attestationObject, transports = [] } }) => ({
    id,
    rawId,
    type,
    clientExtensionResults: {},
    response: { clientDataJSON, attestationObject, transports },
  }));
export type RegistrationResponse = z.output<typeof RegistrationResponse>;

/** `PublicKeyCredential.toJSON()` after `navigator.credentials.get()`. */
export const AssertionResponse = z
  .strictObject({
    ...ENVELOPE,
    response: z.strictObject({
      clientDataJSON: ClientData,
      authenticatorData: AuthenticatorData,
      signature: bytes(1_024),
      userHandle: bytes(64).nullish(),
      attestationObject: z.string().nullish(),
    }),
  })
  .meta({ id: 'PasskeyAssertion' })
  .transform(({ id, rawId, type, response }) => ({
    id,
    rawId,
    type,
    clientExtensionResults: {},
    response: {
      clientDataJSON: response.clientDataJSON,
      authenticatorData: response.authenticatorData,
      signature: response.signature,
      ...(response.userHandle && { userHandle: response.userHandle }),
    },
  }));
export type AssertionResponse = z.output<typeof AssertionResponse>;

export const PasskeyName = text(100, 1).regex(/\S/).trim();

/** The fields of a passkey that its owner may see. */
export const PasskeyView = z
  .object({
    id: z.string(),
    name: z.string(),
    /** The kind of authenticator, as it says itself. */
    authenticator: z.string(),
    transports: z.array(z.string()),
    backupEligible: z.boolean(),
    backedUp: z.boolean(),
    createdAt: z.date(),
    lastUsedAt: z.date().nullable(),
  })
  .meta({ id: 'Passkey' });
