import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { headerLines } from '../authentication/request.js';
import { canonicalAddress } from '../config/network.js';

/** The client that sent a request, as the connection or its trusted proxies say. */
export interface Client {
  readonly ip: string;
  /** Whether the client used HTTPS. */
  readonly secure: boolean;
  /** Whether the connection is that of a trusted proxy. */
  readonly isForwarded: boolean;
}

/** One proxy's statement about its own client. */
interface Hop {
  /** Undefined if the proxy states no address, or anything else. */
  readonly address: string | undefined;
  readonly protocol: string | undefined;
}

/** More proxies than any request passes. Their number bounds the time to read the header fields. */
const MAX_HOPS = 32;

/**
 * Reads `X-Forwarded-For` and `X-Forwarded-Proto`, or `Forwarded` (RFC 7239) if neither is present. Each proxy appends to
 * the right, so the client is the right-most address that is not a trusted proxy. The text left of it may be the client's.
 * If a trusted proxy states anything but an address, the client has the address of the connection.
 *
 * Written here because Fastify and Express read lists, ports and protocols differently (test/http/forwarded.e2e-spec.ts).
 *
 * @param peer the address of the connection
 * @param isForwarded whether the connection is that of a trusted proxy
 * @param trusts whether the address is a trusted proxy
 */
export function clientOf(
  request: IncomingMessage,
  peer: string,
  isForwarded: boolean,
  trusts: (address: string) => boolean,
): Client {
  let ip = peer;
  let secure = request.socket instanceof TLSSocket;
  if (!isForwarded) return { ip, secure, isForwarded };
  let count = 0;
  for (const { address, protocol } of hopsOf(request)) {
    if (protocol !== undefined) secure = protocol.toLowerCase() === 'https';
    ip = address ?? peer;
    if (address === undefined || !trusts(address)) break;
    if (++count === MAX_HOPS) return { ip: peer, secure: false, isForwarded };
  }
  return { ip, secure, isForwarded };
}

/** The statements of the proxies, the nearest first. */
function hopsOf(request: IncomingMessage): Iterable<Hop> {
  const addresses = headerLines(request, 'x-forwarded-for');
  const protocols = headerLines(request, 'x-forwarded-proto');
  if (addresses.length || protocols.length) return xForwardedHops(listOf(addresses), listOf(protocols));
  return forwardedHops(headerLines(request, 'forwarded'));
}

const listOf = (lines: readonly string[]) =>
  lines
    .flatMap((line) => line.split(','))
    .map((item) => item.trim())
    .filter(Boolean)
    .toReversed();

/** Many proxies replace `X-Forwarded-Proto` instead of appending to it, so the last value counts for the other hops. */
function* xForwardedHops(nodes: readonly string[], protocols: readonly string[]): Iterable<Hop> {
  if (!nodes.length) yield { address: undefined, protocol: protocols[0] };
  for (const [i, node] of nodes.entries())
    yield { address: addressOf(node), protocol: protocols[i] ?? protocols.at(-1) };
}

const PAIR = /[\w!#$%&'*+.^`|~-]+=(?:"(?:[^"\\]|\\.)*"|[^\s",;]+)/;
/** Matches from the right, so that malformed text of the client on the left cannot hide the proxy's own element. */
const LAST_ELEMENT = new RegExp(`(?:^|,)[ \\t]*(${PAIR.source}(?:[ \\t]*;[ \\t]*${PAIR.source})*)[ \\t,]*$`);

function* forwardedHops(lines: readonly string[]): Iterable<Hop> {
  for (const line of lines.toReversed())
    for (let rest = line; /[^ \t,]/.test(rest);) {
      const element = LAST_ELEMENT.exec(rest);
      yield hopOf(element?.[1] ?? '');
      rest = rest.slice(0, element?.index ?? 0);
    }
}

/** @param element such as `for="[2001:db8::1]:443";proto=https`; a repeated parameter makes it ambiguous */
function hopOf(element: string): Hop {
  const pairs = [...element.matchAll(new RegExp(PAIR, 'g'))].map(([pair]) => {
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    return [name.toLowerCase(), value.replace(/^"(.*)"$/, '$1').replace(/\\(.)/g, '$1')] as const;
  });
  const parameters = new Map(pairs);
  if (parameters.size < pairs.length) return { address: undefined, protocol: undefined };
  return { address: addressOf(parameters.get('for') ?? ''), protocol: parameters.get('proto') };
}

/** An IPv4 address or an IPv6 address in brackets, with a port or an obfuscated port (RFC 7239 section 6). */
const NODE = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::(?:\d{1,5}|_[\w.-]+))?$/i;

function addressOf(node: string): string | undefined {
  const [, inBrackets, ipv4] = NODE.exec(node) ?? [];
  if (inBrackets && !inBrackets.includes(':')) return undefined;
  return canonicalAddress(inBrackets ?? ipv4 ?? node);
}
