import type { KeyObject } from 'node:crypto';
import { parseItem, serializeInnerList, type InnerList } from 'structured-headers';
import { sign, type SignatureAlgorithm } from './http-signature.algorithms.js';
import { signatureBase, type Message, type ResponseMessage } from './http-signature.base.js';
import { BODY_COMPONENT, REQUIRED_COMPONENTS, TAG, toIdentifier } from './http-signature.js';

/** A private key and the `keyid` of its signatures. */
export interface PrivateSignatureKey {
  readonly keyid: string;
  readonly key: KeyObject;
  readonly algorithm: SignatureAlgorithm;
}

/**
 * Signs a message and returns the headers `Signature-Input` and `Signature` (RFC 9421 section 3.1).
 * @param components the covered components: `@method`, or with parameters `"@method";req`
 * @throws InvalidSignature if the message lacks a component
 */
export function signatureHeaders(
  message: Message,
  components: readonly string[],
  { keyid, key, algorithm }: PrivateSignatureKey,
  { label, nonce }: { label: string; nonce?: string | undefined },
): Record<string, string> {
  const input: InnerList = [
    components.map((component) => parseItem(toIdentifier(component))),
    new Map<string, string | number>([
      ['created', Math.floor(Date.now() / 1000)],
      ['keyid', keyid],
      ...(nonce === undefined ? [] : [['nonce', nonce] as const]),
      ['tag', TAG],
    ]),
  ];
  const signature = sign(algorithm, key, signatureBase(input, message));
  return {
    'Signature-Input': `${label}=${serializeInnerList(input)}`,
    Signature: `${label}=:${signature.toString('base64')}:`,
  };
}

/**
 * The components that the signature of a response covers: the response and its request
 * (RFC 9421 section 2.4). So it cannot be presented as the response to another request.
 */
export function responseComponents({ lines, request }: ResponseMessage): string[] {
  return [
    '@status',
    BODY_COMPONENT,
    ...(lines('Content-Type').length ? ['content-type'] : []),
    ...REQUIRED_COMPONENTS.map((name) => `"${name}";req`),
    ...(request.lines('Signature').length ? ['"signature";req'] : []),
  ];
}
