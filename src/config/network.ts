import { LRUCache } from 'lru-cache';
import { isIPv4, isIPv6 } from 'node:net';

/**
 * The one spelling of an IP address (RFC 5952): an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) as IPv4, and no zone id,
 * which has a meaning on its own machine only.
 * @returns undefined if the text is not an address
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return undefined;
  const address = new URL(`http://[${text.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const [, high = '', low = ''] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(address) ?? [];
  if (!high) return address;
  return [high, low].flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]).join('.');
}

const MAX_CACHED_NETWORKS = 10_000;
/** By address. A module-level cache, because the value depends on nothing else and most requests come from a known address. */
const networks = new LRUCache<string, string>({ max: MAX_CACHED_NETWORKS });

/**
 * The key that counts attempts from an address: an IPv4 address, or the /64 network of an IPv6 address. One customer
 * owns at least a /64.
 */
export function networkOf(ip: string): string {
  let network = networks.get(ip);
  if (network === undefined) networks.set(ip, (network = computeNetwork(ip)));
  return network;
}

function computeNetwork(ip: string): string {
  const address = canonicalAddress(ip);
  if (!address?.includes(':')) return address ?? ip;
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}
