import { LRUCache } from 'lru-cache';
import { isIPv4, isIPv6 } from 'node:net';

const MAX_CACHED_NETWORKS = 10_000;
/** By address. A module-level cache, because the value depends on nothing else and most requests come from a known address. */
const networks = new LRUCache<string, string>({ max: MAX_CACHED_NETWORKS });

/**
 * The key that counts attempts from an address: an IPv4 address, or the /64 network of an IPv6 address. One customer
 * owns at least a /64. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts as IPv4.
 */
export function networkOf(ip: string): string {
  let network = networks.get(ip);
  if (network === undefined) networks.set(ip, (network = computeNetwork(ip)));
  return network;
}

function computeNetwork(ip: string): string {
  const address = ip.replace(/%.*$/, '');
  if (isIPv4(address) || !isIPv6(address)) return address;
  // The URL parser normalizes IPv6 addresses: lower case, no dotted end (RFC 5952).
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  const groups = [...left, ...zeros, ...right];
  if (/^(0,){5}ffff,/.test(groups.join()))
    return groups
      .slice(6)
      .flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255])
      .join('.');
  return `${groups.slice(0, 4).join(':')}::/64`;
}
