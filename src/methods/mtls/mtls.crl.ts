/**
 * A certificate revocation list (RFC 5280, section 5), written in DER (X.690) by hand: the library compares each entry
 * with all before it, and a list must not take longer than it is long.
 */
import { sign, type KeyObject } from 'node:crypto';

export interface Revoked {
  /** Hexadecimal. */
  readonly serial: string;
  readonly at: Date;
}

/** What is the same in every list of one CA. */
export interface CrlIssuer {
  /** Its name, in DER. */
  readonly name: Buffer;
  /** The extension that names its key, in DER. */
  readonly authorityKeyIdentifier: Buffer;
  /** On P-256. */
  readonly key: KeyObject;
}

const [INTEGER, BIT_STRING, OCTET_STRING, OID, UTC_TIME, GENERALIZED_TIME, SEQUENCE] = [
  0x02, 0x03, 0x04, 0x06, 0x17, 0x18, 0x30,
];
const EXTENSIONS = 0xa0;
/** From then on, times have four digits for the year. */
const NEW_TIME = 2050;

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = bytesOf(content.length);
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** The fewest bytes that a number takes, most significant first. */
function bytesOf(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** Positive, so a first bit that is set gets a zero before it. */
const integer = (bytes: Buffer) => der(INTEGER, bytes[0]! < 0x80 ? bytes : Buffer.from([0, ...bytes]));

function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, '');
  return date.getUTCFullYear() < NEW_TIME
    ? der(UTC_TIME, Buffer.from(digits.slice(2)))
    : der(GENERALIZED_TIME, Buffer.from(digits));
}

const ECDSA_WITH_SHA256 = der(SEQUENCE, der(OID, Buffer.from('2a8648ce3d040302', 'hex')));
const CRL_NUMBER = der(OID, Buffer.from('551d14', 'hex'));

/**
 * @param revoked in any order; each serial once
 * @returns DER. Its number is the moment, so a later list has a higher one
 */
export function signCrl(
  issuer: CrlIssuer,
  revoked: readonly Revoked[],
  thisUpdate: Date,
  nextUpdate: Date,
): Buffer {
  const entries = revoked.map(({ serial, at }) =>
    der(SEQUENCE, integer(Buffer.from(serial, 'hex')), time(at)),
  );
  const number = der(SEQUENCE, CRL_NUMBER, der(OCTET_STRING, integer(bytesOf(thisUpdate.getTime()))));
  const list = der(
    SEQUENCE,
    integer(Buffer.from([1])),
    ECDSA_WITH_SHA256,
    issuer.name,
    time(thisUpdate),
    time(nextUpdate),
    // A list of nobody is left out altogether.
    ...(entries.length ? [der(SEQUENCE, ...entries)] : []),
    der(EXTENSIONS, der(SEQUENCE, issuer.authorityKeyIdentifier, number)),
  );
  const signature = sign('sha256', list, issuer.key);
  return der(SEQUENCE, list, ECDSA_WITH_SHA256, der(BIT_STRING, Buffer.from([0]), signature));
}
