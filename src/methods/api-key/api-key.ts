/**
 * API keys. On the wire, either of
 *
 *     Authorization: ApiKey atlas_Zk3….9fQ…
 *     X-API-Key: atlas_Zk3….9fQ…
 *
 * A key is `atlas_<id>.<secret><checksum>`: 16 letters and digits that say which key it is, 43 (256 bits) that prove
 * it, and 7 that catch a typing error before the database is asked and let a secret scanner tell a key from noise.
 * The server keeps the SHA-256 of the secret: with 256 random bits there is nothing to guess, so nothing to slow down.
 */
import { createHash, randomInt } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM = /^atlas_([0-9A-Za-z]{16})\.([0-9A-Za-z]{43})([0-9a-z]{7})$/;

const random = (length: number) =>
  Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
const checksum = (text: string) => crc32(text).toString(36).padStart(7, '0');
const format = (id: string, secret: string) => `atlas_${id}.${secret}${checksum(id + secret)}`;

export const newKeyId = () => random(16);
export const hashSecret = (secret: string) => createHash('sha256').update(secret).digest('hex');

/** A new key for an id: `key` goes to its owner, once; `secretHash` is what is kept. */
export function mintKey(id: string, secret = random(43)): { key: string; secretHash: string } {
  return { key: format(id, secret), secretHash: hashSecret(secret) };
}

/** The parts of a key, or undefined where it has not the form or its checksum is wrong. */
export function parseKey(text: string): { id: string; secret: string } | undefined {
  const [, id, secret, sum] = FORM.exec(text) ?? [];
  return id && secret && sum === checksum(id + secret) ? { id, secret } : undefined;
}

/**
 * Whether an address is on a list of addresses and CIDR ranges; an IPv4 address is the same written as IPv6
 * (`::ffff:10.0.0.1`). An empty list allows none.
 */
export function allowsAddress(ranges: readonly string[], address: string): boolean {
  const family = isIP(address);
  return family !== 0 && ranges.some((range) => listOf(range).check(address, nameOf(family)));
}

/** Whether every address of one range is in the other. */
export function containsRange(outer: string, inner: string): boolean {
  const [{ network, prefix, family }, around] = [partsOf(inner), partsOf(outer)];
  return family === around.family && prefix >= around.prefix && listOf(outer).check(network, nameOf(family));
}

const nameOf = (family: number) => (family === 4 ? 'ipv4' : 'ipv6');

function partsOf(range: string) {
  const [network = '', prefix] = range.split('/');
  const family = isIP(network);
  return { network, family, prefix: Number(prefix ?? (family === 4 ? 32 : 128)) };
}

function listOf(range: string): BlockList {
  const { network, prefix, family } = partsOf(range);
  const list = new BlockList();
  list.addSubnet(network, prefix, nameOf(family));
  return list;
}
