import { BadRequestException, Global, Injectable, Module } from '@nestjs/common';
import { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { AuthRequest } from './request.js';

/** Whether the peer with this address is a trusted proxy. Only such a peer may send `Client-Cert`. */
type TrustsProxy = (address: string | undefined) => boolean;

/**
 * The client's certificate: from the TLS handshake with this server, or from a trusted proxy in `Client-Cert` (RFC 9440).
 * Any issuer counts; the method that reads the certificate verifies it.
 *
 * @returns undefined if the client presented none, or if `Client-Cert` is malformed
 * @throws BadRequestException `ambiguous_credentials` if both the handshake and `Client-Cert` carry a certificate
 */
export function tlsCertificate(request: AuthRequest, trusts: TrustsProxy): X509Certificate | undefined {
  const { socket } = request;
  const ofSocket = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  const field = forwardedCertificate(request, trusts);
  if (field === undefined) return ofSocket;
  if (ofSocket) throw ambiguousCertificates();
  return parseClientCert(field);
}

/** The `Client-Cert` header of a trusted proxy (RFC 9440 section 2.2). Any other peer's header is ignored. */
export const forwardedCertificate = (request: AuthRequest, trusts: TrustsProxy): string | undefined =>
  request.lines('Client-Cert').length > 0 && trusts(request.socket.remoteAddress)
    ? request.header('Client-Cert')
    : undefined;

export const ambiguousCertificates = () =>
  new BadRequestException({
    code: 'ambiguous_credentials',
    detail: 'The TLS connection and the Client-Cert header carry different certificates. Send one.',
  });

/**
 * The listener that requests client certificates, for the authorization server: it publishes the URL
 * (`mtls_endpoint_aliases`, RFC 8705 section 5) and authenticates clients by certificates. The method that opens the
 * listener sets both.
 */
@Injectable()
export class ClientCertificateEndpoint {
  /** Undefined before the listener is open, or if no installed method opens one. */
  url: string | undefined;
  /** Whether the CA of the listener issued the certificate, and the certificate is valid now: not expired, not revoked. */
  isValid: (certificate: X509Certificate) => Promise<boolean> = async () => false;
}

@Global()
@Module({ providers: [ClientCertificateEndpoint], exports: [ClientCertificateEndpoint] })
export class ClientCertificateModule {}

/** A Byte Sequence (RFC 8941 section 3.3.5). */
const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]+={0,2}):$/;
/** A certificate with an RSA key of 4096 bits takes about 2,000 characters. */
const MAX_CLIENT_CERT_CHARACTERS = 8_192;

/**
 * Parses a `Client-Cert` header (RFC 9440 section 2.2): a Byte Sequence that holds one certificate in DER. Only
 * canonical base64 is accepted, so each certificate has exactly one text.
 * @returns undefined for anything else
 */
export function parseClientCert(field: string): X509Certificate | undefined {
  if (field.length > MAX_CLIENT_CERT_CHARACTERS) return undefined;
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
