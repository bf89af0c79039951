import { X509Certificate } from 'node:crypto';
import { decodeAttestationObject } from '@simplewebauthn/server/helpers';
import type { TrustedAuthenticators } from './passkey.config.js';
import { InvalidPasskeyResponse, type Registration } from './passkey.js';

/**
 * Checks that the authenticator is a trusted one (section 7.1 steps 21 to 24). The library has verified the statement's signature;
 * its list of roots is one for the whole process, so the path is checked here.
 * @throws InvalidPasskeyResponse
 */
export function assertTrustedAuthenticator(
  { aaguid, attestationObject }: Pick<Registration, 'aaguid' | 'attestationObject'>,
  { roots, aaguids }: TrustedAuthenticators,
): void {
  if (aaguids && !aaguids.includes(aaguid)) throw untrusted('its AAGUID is not listed');
  const certificates = decodeAttestationObject(attestationObject).get('attStmt').get('x5c');
  if (!certificates?.length) throw untrusted('no certificate attests it');
  const chain = certificates.map((bytes) => new X509Certificate(bytes));
  if (!chain.every(isValidNow)) throw untrusted('a certificate has expired');
  const isPath = chain.slice(1).every((issuer, i) => isIssuedBy(chain[i]!, issuer));
  const last = chain.at(-1)!;
  const isRooted = roots.some(
    (root) => isValidNow(root) && (last.raw.equals(root.raw) || isIssuedBy(last, root)),
  );
  if (!isPath || !isRooted) throw untrusted('its certificates lead to no trusted root');
}

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

const isValidNow = ({ validFrom, validTo }: X509Certificate): boolean =>
  new Date(validFrom) <= new Date() && new Date() <= new Date(validTo);

const untrusted = (reason: string) =>
  new InvalidPasskeyResponse(`the authenticator is not trusted: ${reason}`);
