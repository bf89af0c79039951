/**
 * Passkeys (W3C Web Authentication Level 3): an authenticator keeps a private key per site and account, and signs a challenge
 * together with the origin that the browser sees.
 *
 *     POST /auth/passkey/options HTTP/1.1                    POST /auth/passkey HTTP/1.1
 *     Content-Type: application/json                         Content-Type: application/json
 *                                                            Cookie: passkey=…
 *     {}
 *                                                            { "as": "session", "credential": { "id": "…", "response": {
 *     HTTP/1.1 200 OK                                          "clientDataJSON": "…", "authenticatorData": "…",
 *     Set-Cookie: passkey=…                                    "signature": "…", "userHandle": "…" }, … } }
 *
 *     { "challenge": "…", "rpId": "localhost", "userVerification": "required", … }
 */
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';

/** Loaded for the first passkey: it takes a tenth of the memory of a start. */
export const loadLibrary = () => import('@simplewebauthn/server');

/** COSE algorithms (RFC 9053, RFC 8812). */
export const [ES256, EDDSA, RS256] = [-7, -8, -257] as const;
/** The accepted ones, the preferred one first. */
export const ALGORITHMS = [ES256, EDDSA, RS256];

/** The site for which a passkey is valid. It comes from the settings, never from a request. */
export interface RelyingParty {
  /** The domain to which passkeys are bound. */
  readonly rpId: string;
  /** The origins whose pages and apps may use them. */
  readonly origins: readonly string[];
}

/** A response of an authenticator that is not accepted. The message is for the log, and contains nothing of the response. */
export class InvalidPasskeyResponse extends Error {
  /** The account of the passkey, if it is known. */
  account?: { readonly id: string; readonly tenantId: string };
}

export type Registration = Awaited<ReturnType<typeof verifyRegistration>>;

/**
 * Checks the response to a creation request (section 7.1). The caller checks the trust in the attestation.
 * @throws InvalidPasskeyResponse
 */
export async function verifyRegistration(
  { rpId, origins }: RelyingParty,
  expectedChallenge: string,
  response: RegistrationResponseJSON,
) {
  assertTopLevelPage(response.response.clientDataJSON);
  const { verifyRegistrationResponse } = await loadLibrary();
  const { verified, registrationInfo } = await rejectErrors(
    verifyRegistrationResponse({
      response,
      expectedChallenge,
      expectedOrigin: [...origins],
      expectedRPID: rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    }),
  );
  if (!verified) throw new InvalidPasskeyResponse('the attestation signature is wrong');
  // The library compares the id only with `rawId`, and takes the stored one from the authenticator data.
  if (registrationInfo.credential.id !== response.id)
    throw new InvalidPasskeyResponse('the credential id differs from the authenticator data');
  return registrationInfo;
}

/** The parts of a passkey that verify its signature. */
export interface PublicKey {
  readonly credentialId: string;
  /** COSE_Key (RFC 9052 section 7) in base64url. */
  readonly publicKey: string;
}

/**
 * Checks the response to a sign-in request (section 7.2). The caller compares the signature counter, in the database.
 * @throws InvalidPasskeyResponse
 */
export async function verifyAssertion(
  { rpId, origins }: RelyingParty,
  expectedChallenge: string,
  { credentialId, publicKey }: PublicKey,
  response: AuthenticationResponseJSON,
  requireUserVerification: boolean,
) {
  assertTopLevelPage(response.response.clientDataJSON);
  const { verifyAuthenticationResponse } = await loadLibrary();
  const { verified, authenticationInfo } = await rejectErrors(
    verifyAuthenticationResponse({
      response,
      expectedChallenge,
      expectedOrigin: [...origins],
      expectedRPID: rpId,
      credential: { id: credentialId, publicKey: bytesOf(publicKey), counter: 0 },
      requireUserVerification,
    }),
  );
  if (!verified) throw new InvalidPasskeyResponse('the signature is wrong');
  return authenticationInfo;
}

/**
 * Rejects a response from an embedded page: the site around it may have tricked the person (section 13.4.2). The library accepts
 * `crossOrigin: true` without `topOrigin`.
 */
function assertTopLevelPage(clientDataJSON: string): void {
  let data: unknown;
  try {
    data = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8'));
  } catch {
    throw new InvalidPasskeyResponse('the client data is not JSON');
  }
  const { crossOrigin = false, topOrigin } = (data ?? {}) as Record<string, unknown>;
  if (crossOrigin !== false || topOrigin !== undefined)
    throw new InvalidPasskeyResponse('the page was embedded in another site');
}

/** The library throws a plain Error for every invalid response. Its messages quote the response after the first quote or colon. */
async function rejectErrors<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : '').split(/["':]/, 1);
    throw new InvalidPasskeyResponse(`the response is invalid (${reason!.trim()})`);
  }
}

/** A copy, because the library's types exclude Node's shared buffers. */
export const bytesOf = (base64url: string) => new Uint8Array(Buffer.from(base64url, 'base64url'));
