import { randomBytes } from 'node:crypto';
import {
  computeHa1,
  isAlgorithm,
  computeResponse,
  sameHash,
  computeUserhash,
  type Algorithm,
  type DigestParameters,
  type Qop,
} from './digest.js';
import { parseDigest, parseParameters } from './digest.parser.js';

/** What a server asks for, of a `Digest` challenge. */
export interface DigestChallenge extends Pick<DigestParameters, 'algorithm' | 'nonce'> {
  readonly realm: string;
  readonly qops: readonly Qop[];
  readonly userhash: boolean;
  readonly stale: boolean;
}

/** What the owner of a password sends in answer to a challenge. */
export interface DigestRequest {
  readonly method: string;
  /** The request target. */
  readonly uri: string;
  readonly body?: Uint8Array;
  /** How often this nonce has been used, this time included. */
  readonly nc?: number;
  readonly qop?: Qop;
  readonly cnonce?: string;
}

const EMPTY = new Uint8Array();

/** The Digest challenges of a `WWW-Authenticate` field, in which others may stand too. */
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

/** The `Authorization` field that answers a challenge. The username is hashed where the server takes that. */
export function respondToChallenge(
  username: string,
  password: string,
  { algorithm, nonce, realm, qops, userhash }: DigestChallenge,
  { method, uri, body = EMPTY, nc: count = 1, ...chosen }: DigestRequest,
): string {
  const qop = chosen.qop ?? (qops.includes('auth-int') ? 'auth-int' : 'auth');
  const nc = count.toString(16).padStart(8, '0');
  const cnonce = chosen.cnonce ?? randomBytes(18).toString('base64url');
  const ha1 = computeHa1(algorithm, username, realm, password);
  const response = computeResponse(ha1, { algorithm, nonce, uri, qop, nc, cnonce }, method, body);
  const quoted = { realm, nonce, uri, cnonce, response };
  return `Digest ${[
    userhash ? `username="${computeUserhash(algorithm, username, realm)}", userhash=true` : written(username),
    ...Object.entries(quoted).map(([name, value]) => `${name}=${quote(value)}`),
    `algorithm=${algorithm}`,
    `qop=${qop}`,
    `nc=${nc}`,
  ].join(', ')}`;
}

const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** As a quoted-string, or where that cannot hold it, as RFC 8187 writes text. */
function written(username: string): string {
  if (/^[\x20-\x7e]+$/.test(username)) return `username=${quote(username)}`;
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16)}`;
  return `username*=UTF-8''${encodeURIComponent(username).replace(/['()*]/g, hex)}`;
}

/**
 * Signs a request with a password: `fetch(await withDigest('bob', password)(new Request(url)))`. Asks for a challenge
 * first, by the same request without a body, and answers the best one; `auth-int` where it is offered.
 *
 * @throws Error where the server does not ask for Digest
 */
export const withDigest =
  (username: string, password: string, algorithms: readonly Algorithm[] = ['SHA-256', 'SHA-512-256']) =>
  async (request: Request): Promise<Request> => {
    const { url, method } = request;
    const asked = await fetch(url, { method });
    const challenges = parseChallenges(asked.headers.get('WWW-Authenticate') ?? '');
    const challenge = challenges.find(({ algorithm }) => algorithms.includes(algorithm));
    if (!challenge)
      throw new Error('The server does not ask for Digest by an algorithm that is good enough.');
    const { pathname, search } = new URL(url);
    const body = new Uint8Array(await request.clone().arrayBuffer());
    request.headers.set(
      'Authorization',
      respondToChallenge(username, password, challenge, { method, uri: pathname + search, body }),
    );
    return request;
  };

/**
 * Whether the answer comes from somebody who knows the password too, and with `auth-int` whether its body is as it was
 * sent.
 * @param request as {@link withDigest} has signed it
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
  const same = (['qop', 'nc', 'cnonce'] as const).every((name) => info.get(name) === sent[name]);
  return same && sameHash(info.get('rspauth') ?? '', computeResponse(ha1, sent, '', body));
}
