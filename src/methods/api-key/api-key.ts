/**
 * API keys. On the wire, one of
 *
 *     Authorization: ApiKey atlas_Zk3….9fQ…
 *     X-API-Key: atlas_Zk3….9fQ…
 *
 * A key is `atlas_<id>.<secret><checksum>`: 16 characters of id, 43 of secret (256 bits) and 7 of checksum. The
 * checksum detects typing errors without a query, and lets secret scanners recognise a key. The server stores the
 * SHA-256 of the secret: 256 random bits cannot be guessed, so a slow hash is not needed.
 */
import { hash, randomInt } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM = /^atlas_([0-9A-Za-z]{16})\.([0-9A-Za-z]{43})([0-9a-z]{7})$/;

const random = (length: number) =>
  Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
const checksum = (text: string) => crc32(text).toString(36).padStart(7, '0');
const format = (id: string, secret: string) => `atlas_${id}.${secret}${checksum(id + secret)}`;

export const newKeyId = () => random(16);
export const hashSecret = (secret: string) => hash('sha256', secret, 'hex');

/** Makes a key: `key` is shown once, `secretHash` is stored. */
export function mintKey(id: string, secret = random(43)): { key: string; secretHash: string } {
  return { key: format(id, secret), secretHash: hashSecret(secret) };
}

/** @returns undefined if the form or the checksum is wrong */
export function parseKey(text: string): { id: string; secret: string } | undefined {
  const [, id, secret, sum] = FORM.exec(text) ?? [];
  return id && secret && sum === checksum(id + secret) ? { id, secret } : undefined;
}

const RANGE = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/;

/** The parts of an address, `10.0.0.1`, or of a CIDR range, `10.0.0.0/8`; an address is a range of one. */
function rangeOf(text: string): { network: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [, network = '', prefix] = RANGE.exec(text) ?? [];
  const version = isIP(network);
  const bits = version === 4 ? 32 : 128;
  if (!version || Number(prefix ?? bits) > bits) return undefined;
  return { network, prefix: Number(prefix ?? bits), family: version === 4 ? 'ipv4' : 'ipv6' };
}

export const isAddressRange = (text: string): boolean => rangeOf(text) !== undefined;

/** Whether an address is in one of the ranges. An IPv4 address may be written as IPv6: `::ffff:10.0.0.1`. */
export const allowsAddress = (ranges: readonly string[], address: string): boolean =>
  isIP(address) !== 0 && ranges.some((range) => contains(rangeOf(range), rangeOf(address)));

/** Whether every address of one range is in the other. */
export function containsRange(outer: string, inner: string): boolean {
  const [around, within] = [rangeOf(outer), rangeOf(inner)];
  return around?.family === within?.family && contains(around, within);
}

type Range = ReturnType<typeof rangeOf>;

function contains(outer: Range, inner: Range): boolean {
  if (!outer || !inner) return false;
  if (outer.family === inner.family && inner.prefix < outer.prefix) return false;
  const list = new BlockList();
  list.addSubnet(outer.network, outer.prefix, outer.family);
  return list.check(inner.network, inner.family);
}
