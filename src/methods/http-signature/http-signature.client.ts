import { createPublicKey, randomUUID, type JsonWebKey, type KeyObject } from 'node:crypto';
import { algorithmOf, verifySignature } from './http-signature.algorithms.js';
import { signatureBase, type RequestMessage } from './http-signature.base.js';
import { contentDigest, verifyContentDigest } from './http-signature.content-digest.js';
import {
  REQUIRED_COMPONENTS,
  BODY_COMPONENT,
  InvalidSignature,
  TAG,
  selectSignature,
  parseCanonicalDictionary,
  parseSignatures,
  assertCovered,
} from './http-signature.js';
import { responseComponents, signatureHeaders } from './http-signature.signer.js';

/**
 * Signs requests (RFC 9421 section 3.1): `fetch(await withHttpSignature({ keyid, key })(new Request(url)))`.
 * @param key a private key: Ed25519, P-256, P-384 or RSA
 * @param extraComponents further components to cover, such as header names
 */
export const withHttpSignature =
  ({ keyid, key }: { keyid: string; key: KeyObject }, extraComponents: readonly string[] = []) =>
  async (request: Request): Promise<Request> => {
    const algorithm = algorithmOf(key);
    if (!algorithm) throw new Error('No signature algorithm fits this key.');
    const covered = [...REQUIRED_COMPONENTS, ...extraComponents];
    if (request.body) {
      request.headers.set('Content-Digest', contentDigest(await bytesOf(request)));
      covered.push(BODY_COMPONENT);
    }
    const options = { label: 'sig', nonce: randomUUID() };
    const headers = signatureHeaders(messageOf(request), covered, { keyid, key, algorithm }, options);
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    return request;
  };

/** Requests a signed response (RFC 9421 section 5.1). Call it before the request itself is signed. */
export function requestSignedResponse(request: Request): Request {
  request.headers.set('Accept-Signature', `response=();created;nonce="${randomUUID()}";tag="${TAG}"`);
  return request;
}

/** Fetches the server's public keys for signed responses, by `keyid`. */
export async function fetchResponseKeys(origin: string): Promise<ReadonlyMap<string, KeyObject>> {
  const response = await fetch(new URL('/.well-known/http-message-signatures-directory', origin));
  const { keys } = (await response.json()) as { keys: (JsonWebKey & { kid: string })[] };
  return new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]));
}

/**
 * Verifies that the server signed a response, for exactly this request.
 * @param request as it was sent, with {@link requestSignedResponse}
 * @throws InvalidSignature if the response is unsigned, altered, old, or the response to another request
 */
export async function verifyResponse(
  response: Response,
  request: Request,
  keys: ReadonlyMap<string, KeyObject>,
): Promise<void> {
  const message = { status: response.status, lines: linesOf(response), request: messageOf(request) };
  const all = parseSignatures(message.lines('Signature-Input'), message.lines('Signature'));
  const signed = selectSignature(all, Math.floor(Date.now() / 1000));
  assertCovered(signed, responseComponents(message));
  const requested = parseCanonicalDictionary(message.request.lines('Accept-Signature')).get('response');
  if (signed.nonce !== requested?.[1].get('nonce'))
    throw new InvalidSignature('the response is for another request');
  const key = keys.get(signed.keyid);
  const algorithm = key && algorithmOf(key);
  if (
    !algorithm ||
    !(await verifySignature(algorithm, key, signatureBase(signed.input, message), signed.signature))
  )
    throw new InvalidSignature('unknown key or wrong signature');
  verifyContentDigest(message.lines('Content-Digest'), await bytesOf(response));
}

const linesOf =
  ({ headers }: Request | Response) =>
  (name: string): string[] => {
    const value = headers.get(name);
    return value === null ? [] : [value];
  };

function messageOf(request: Request): RequestMessage {
  const { protocol, host, pathname, search } = new URL(request.url);
  return {
    method: request.method,
    secure: protocol === 'https:',
    authority: host,
    target: pathname + search,
    lines: linesOf(request),
  };
}

const bytesOf = async (message: Request | Response) => new Uint8Array(await message.clone().arrayBuffer());
