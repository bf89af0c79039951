/**
 * Writes certificate revocation lists (RFC 5280 section 5) in DER (ITU-T X.690). `@peculiar/x509` compares each entry
 * with all earlier ones, which takes quadratic time, so this file encodes the list itself.
 */
import { sign, type KeyObject } from 'node:crypto';

export interface RevokedCertificate {
  /** The serial number, hexadecimal. */
  readonly serial: string;
  readonly revocationDate: Date;
}

export interface CrlIssuer {
  /** The distinguished name of the CA, in DER. */
  readonly name: Buffer;
  /** The authorityKeyIdentifier extension, in DER. */
  readonly authorityKeyIdentifier: Buffer;
  /** A private key on P-256. */
  readonly key: KeyObject;
}

const [INTEGER, BIT_STRING, OCTET_STRING, OID, UTC_TIME, GENERALIZED_TIME, SEQUENCE] = [
  0x02, 0x03, 0x04, 0x06, 0x17, 0x18, 0x30,
];
const EXTENSIONS = 0xa0;
/** UTCTime has two digits for the year; later dates are GeneralizedTime (RFC 5280 section 5.1.2.4). */
const FIRST_GENERALIZED_YEAR = 2050;
const ECDSA_WITH_SHA256 = der(SEQUENCE, der(OID, Buffer.from('2a8648ce3d040302', 'hex')));
const CRL_NUMBER = der(OID, Buffer.from('551d14', 'hex'));

/**
 * @param revoked in any order, without duplicates
 * @returns DER. The CRL number is `thisUpdate` in milliseconds, so a later list has a higher number
 */
export function signCrl(
  issuer: CrlIssuer,
  revoked: readonly RevokedCertificate[],
  thisUpdate: Date,
  nextUpdate: Date,
): Buffer {
  const entries = revoked.map(({ serial, revocationDate }) =>
    der(SEQUENCE, integer(Buffer.from(serial, 'hex')), time(revocationDate)),
  );
  const number = der(SEQUENCE, CRL_NUMBER, der(OCTET_STRING, integer(bigEndianBytes(thisUpdate.getTime()))));
  const list = der(
    SEQUENCE,
    integer(Buffer.from([1])),
    ECDSA_WITH_SHA256,
    issuer.name,
    time(thisUpdate),
    time(nextUpdate),
    // An empty revokedCertificates field must be absent (RFC 5280 section 5.1.2.6).
    ...(entries.length ? [der(SEQUENCE, ...entries)] : []),
    der(EXTENSIONS, der(SEQUENCE, issuer.authorityKeyIdentifier, number)),
  );
  const signature = sign('sha256', list, issuer.key);
  return der(SEQUENCE, list, ECDSA_WITH_SHA256, der(BIT_STRING, Buffer.from([0]), signature));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = bigEndianBytes(content.length);
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** The shortest big-endian encoding of a number. */
function bigEndianBytes(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** A positive INTEGER: a zero byte keeps a leading 1 bit from meaning a negative number. */
function integer(bytes: Buffer): Buffer {
  return der(INTEGER, bytes[0]! < 0x80 ? bytes : Buffer.from([0, ...bytes]));
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, '');
  return date.getUTCFullYear() < FIRST_GENERALIZED_YEAR
    ? der(UTC_TIME, Buffer.from(digits.slice(2)))
    : der(GENERALIZED_TIME, Buffer.from(digits));
}
