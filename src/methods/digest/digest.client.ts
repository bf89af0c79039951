import { randomBytes } from 'node:crypto';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import {
  computeHa1,
  computeResponse,
  computeUserhash,
  isAlgorithm,
  type DigestAlgorithm,
  type DigestParameters,
  type Qop,
} from './digest.js';
import { parseDigest, parseParameters } from './digest.parser.js';

/** A parsed `Digest` challenge. */
export interface DigestChallenge extends Pick<DigestParameters, 'algorithm' | 'nonce'> {
  readonly realm: string;
  readonly qops: readonly Qop[];
  readonly userhash: boolean;
  readonly stale: boolean;
}

/** The request that a response is computed for. */
export interface DigestRequest {
  readonly method: string;
  /** The request target. */
  readonly uri: string;
  readonly body?: Uint8Array;
  /** The number of uses of this nonce, including this one. 1 by default. */
  readonly nc?: number;
  readonly qop?: Qop;
  readonly cnonce?: string;
}

const NO_BODY = new Uint8Array();

/** The Digest challenges of a `WWW-Authenticate` header. It may contain challenges of other schemes. */
export function parseChallenges(field: string): DigestChallenge[] {
  const lists: string[][] = [];
  for (const [, scheme, parameter = ''] of field.matchAll(
    /(?:^|,)\s*(?:([\w-]+)\s+)?([\w*-]+="(?:[^"\\]|\\.)*"|[\w*-]+=[^\s,"]+)/g,
  ))
    if (scheme) lists.push([scheme, parameter]);
    else lists.at(-1)?.push(parameter);
  return lists.flatMap(([scheme, ...parameters]) => {
    if (scheme?.toLowerCase() !== 'digest') return [];
    const read = parseParameters(parameters.join(', '));
    const get = (name: string) => read.get(name) ?? '';
    const algorithm = get('algorithm');
    if (!isAlgorithm(algorithm)) return [];
    const qops = get('qop').split(/[, ]+/) as Qop[];
    const flags = { userhash: get('userhash') === 'true', stale: get('stale') === 'true' };
    return [{ algorithm, qops, nonce: get('nonce'), realm: get('realm'), ...flags }];
  });
}

/** The `Authorization` header for a challenge. The username is hashed if the server supports it. */
export function respondToChallenge(
  username: string,
  password: string,
  { algorithm, nonce, realm, qops, userhash }: DigestChallenge,
  { method, uri, body = NO_BODY, nc: count = 1, ...chosen }: DigestRequest,
): string {
  const qop = chosen.qop ?? (qops.includes('auth-int') ? 'auth-int' : 'auth');
  const nc = count.toString(16).padStart(8, '0');
  const cnonce = chosen.cnonce ?? randomBytes(18).toString('base64url');
  const ha1 = computeHa1(algorithm, username, realm, password);
  const response = computeResponse(ha1, { algorithm, nonce, uri, qop, nc, cnonce }, method, body);
  const quoted = { realm, nonce, uri, cnonce, response };
  return `Digest ${[
    userhash
      ? `username="${computeUserhash(algorithm, username, realm)}", userhash=true`
      : formatUsername(username),
    ...Object.entries(quoted).map(([name, value]) => `${name}=${quote(value)}`),
    `algorithm=${algorithm}`,
    `qop=${qop}`,
    `nc=${nc}`,
  ].join(', ')}`;
}

const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** A quoted-string, or the extended notation of RFC 8187 for characters that do not fit into one. */
function formatUsername(username: string): string {
  if (/^[\x20-\x7e]+$/.test(username)) return `username=${quote(username)}`;
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16)}`;
  return `username*=UTF-8''${encodeURIComponent(username).replace(/['()*]/g, hex)}`;
}

/**
 * Adds Digest credentials to a request: `fetch(await withDigest('bob', password)(new Request(url)))`. First sends the request
 * without its body to get a challenge. Prefers `auth-int`.
 *
 * @throws Error if the server offers no Digest challenge with an accepted algorithm
 */
export const withDigest =
  (username: string, password: string, algorithms: readonly DigestAlgorithm[] = ['SHA-256', 'SHA-512-256']) =>
  async (request: Request): Promise<Request> => {
    const { url, method } = request;
    const unauthenticated = await fetch(url, { method });
    const challenges = parseChallenges(unauthenticated.headers.get('WWW-Authenticate') ?? '');
    const challenge = challenges.find(({ algorithm }) => algorithms.includes(algorithm));
    if (!challenge) throw new Error('The server offers no Digest challenge with an accepted algorithm.');
    const { pathname, search } = new URL(url);
    const body = new Uint8Array(await request.clone().arrayBuffer());
    request.headers.set(
      'Authorization',
      respondToChallenge(username, password, challenge, { method, uri: pathname + search, body }),
    );
    return request;
  };

/**
 * Whether the response comes from a server that knows the password. With `auth-int` this also verifies its body.
 * @param request the request that {@link withDigest} returned
 */
export async function isServerAuthentic(
  username: string,
  password: string,
  request: Request,
  response: Response,
): Promise<boolean> {
  const sent = parseDigest(request.headers.get('Authorization') ?? '');
  const info = parseParameters(response.headers.get('Authentication-Info') ?? '');
  const ha1 = computeHa1(sent.algorithm, username, sent.realm, password);
  const body = new Uint8Array(await response.clone().arrayBuffer());
  const isEcho = (['qop', 'nc', 'cnonce'] as const).every((name) => info.get(name) === sent[name]);
  return isEcho && constantTimeEqual(info.get('rspauth') ?? '', computeResponse(ha1, sent, '', body));
}
