import { BadRequestException } from '@nestjs/common';
import { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { AuthRequest } from './request.js';

/**
 * The certificate that the caller has shown in the TLS handshake: to this server, or to a proxy, which then says so in
 * `Client-Cert` (RFC 9440). Whoever issued it; what it is good for is for a method to find out.
 *
 * @param trusts whether a peer with this address is a proxy whose word is taken: anybody could write the field
 * @returns undefined where there is none, or the field holds none
 * @throws BadRequestException `ambiguous_credentials` where there is one of each
 */
export function tlsCertificate(request: AuthRequest, trusts: Trusts): X509Certificate | undefined {
  const { socket } = request;
  const ofSocket = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  const field = forwardedCertificate(request, trusts);
  if (field === undefined) return ofSocket;
  if (ofSocket) throw ambiguousCertificates();
  return parseClientCert(field);
}

type Trusts = (address: string | undefined) => boolean;

/** The field in which a proxy says which certificate it was shown. Anybody could say it, so it counts from a trusted one only. */
export const forwardedCertificate = (request: AuthRequest, trusts: Trusts): string | undefined =>
  request.lines('Client-Cert').length > 0 && trusts(request.socket.remoteAddress)
    ? request.header('Client-Cert')
    : undefined;

export const ambiguousCertificates = () =>
  new BadRequestException({
    code: 'ambiguous_credentials',
    detail: 'The TLS connection and the Client-Cert header carry different certificates. Send one.',
  });

/**
 * Where a server asks its callers for certificates, by its HTTP server: the listener that does says so once it listens.
 * Absent where none does.
 */
export const requestsClientCertificates = new WeakMap<object, string>();

const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]+={0,2}):$/;
/** A certificate with a key of 4096 bits takes 2,000 characters. */
const LONGEST_FIELD = 8_192;

/**
 * The certificate in a `Client-Cert` field: a byte sequence (RFC 8941, section 3.3.5) that holds one in DER, and
 * nothing else.
 * @returns undefined for anything else; a certificate has one text, since only the canonical base64 is taken
 */
export function parseClientCert(field: string): X509Certificate | undefined {
  if (field.length > LONGEST_FIELD) return undefined;
  const [, text = ''] = BYTE_SEQUENCE.exec(field) ?? [];
  const der = Buffer.from(text, 'base64');
  if (!text || der.toString('base64') !== text) return undefined;
  try {
    const certificate = new X509Certificate(der);
    return certificate.raw.equals(der) ? certificate : undefined;
  } catch {
    return undefined;
  }
}
