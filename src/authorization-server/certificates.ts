import type { X509Certificate } from 'node:crypto';

/**
 * Whether one of these CAs has issued a certificate itself, and it may be used now. Revocation lists are for whoever ends TLS
 * to look at.
 */
export function verifiedBy(
  cas: readonly X509Certificate[],
  certificate: X509Certificate,
  now: Date,
): boolean {
  const inTime = (each: X509Certificate) => new Date(each.validFrom) <= now && now < new Date(each.validTo);
  return (
    !certificate.ca &&
    inTime(certificate) &&
    cas.some((ca) => ca.ca && inTime(ca) && certificate.checkIssued(ca) && certificate.verify(ca.publicKey))
  );
}

/** What Node writes before a name, by the client metadata that names it (RFC 8705, section 2.1.2). */
const PREFIXES: Readonly<Record<string, string>> = {
  tls_client_auth_san_dns: 'DNS:',
  tls_client_auth_san_uri: 'URI:',
  tls_client_auth_san_ip: 'IP Address:',
  tls_client_auth_san_email: 'email:',
};
/** One attribute of a subject, of characters that nobody has to escape. */
const PLAIN = /^[A-Za-z]+=[^\\",+<>;=\n]+$/;

/** Whether a certificate is the one that a client's metadata describes: by a name, or by its subject as RFC 4514 writes it. */
export function subjectIs(certificate: X509Certificate, property: string, expected: string): boolean {
  if (property === 'tls_client_auth_subject_dn') {
    const parts = certificate.subject.split('\n');
    return parts.every((part) => PLAIN.test(part)) && parts.toReversed().join(',') === expected;
  }
  const prefix = PREFIXES[property];
  const names = certificate.subjectAltName ?? '';
  // Node quotes a name that could be read as several. Where one is quoted, none is believed.
  return prefix !== undefined && !names.includes('"') && names.split(', ').includes(prefix + expected);
}
