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
  readDictionary,
  readSignatures,
  assertCovered,
} from './http-signature.js';
import { responseComponents, signatureFields } from './http-signature.signer.js';

/**
 * Signs requests: `fetch(await withHttpSignature({ keyid, key })(new Request(url)))`.
 * @param key the private key: Ed25519, P-256, P-384 or RSA
 * @param also what is covered besides what must be: the names of fields
 */
export const withHttpSignature =
  ({ keyid, key }: { keyid: string; key: KeyObject }, also: readonly string[] = []) =>
  async (request: Request): Promise<Request> => {
    const algorithm = algorithmOf(key);
    if (!algorithm) throw new Error('This key is for none of the algorithms.');
    const covered = [...REQUIRED_COMPONENTS, ...also];
    if (request.body) {
      request.headers.set('Content-Digest', contentDigest(await bytesOf(request)));
      covered.push(BODY_COMPONENT);
    }
    const how = { label: 'sig', nonce: randomUUID() };
    const fields = signatureFields(messageOf(request), covered, { keyid, key, algorithm }, how);
    for (const [name, value] of Object.entries(fields)) request.headers.set(name, value);
    return request;
  };

/** Asks for an answer that is signed (RFC 9421, section 5.1). Before the request itself is signed. */
export function requestSignedResponse(request: Request): Request {
  request.headers.set('Accept-Signature', `answer=();created;nonce="${randomUUID()}";tag="${TAG}"`);
  return request;
}

/** The keys that a server signs its answers with, by their id. */
export async function fetchResponseKeys(origin: string): Promise<ReadonlyMap<string, KeyObject>> {
  const answer = await fetch(new URL('/.well-known/http-message-signatures-directory', origin));
  const { keys } = (await answer.json()) as { keys: (JsonWebKey & { kid: string })[] };
  return new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]));
}

/**
 * Believes an answer only where the server has signed it, for this very request.
 * @param request as it was sent, with {@link requestSignedResponse}
 * @throws SignatureError where it is unsigned, altered, old, or the answer to another request
 */
export async function verifyResponse(
  response: Response,
  request: Request,
  keys: ReadonlyMap<string, KeyObject>,
): Promise<void> {
  const message = { status: response.status, lines: linesOf(response), request: messageOf(request) };
  const all = readSignatures(message.lines('Signature-Input'), message.lines('Signature'));
  const signed = selectSignature(all, Math.floor(Date.now() / 1000));
  assertCovered(signed, responseComponents(message));
  const asked = readDictionary(message.request.lines('Accept-Signature')).get('answer');
  if (signed.nonce !== asked?.[1].get('nonce')) throw new InvalidSignature('it answers another request');
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
