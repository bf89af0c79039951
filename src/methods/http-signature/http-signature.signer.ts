import type { KeyObject } from 'node:crypto';
import { parseItem, serializeInnerList, type InnerList } from 'structured-headers';
import { sign, type SignatureAlgorithm } from './http-signature.algorithms.js';
import { signatureBase, type Message, type ResponseMessage } from './http-signature.base.js';
import { BODY_COMPONENT, TAG, toIdentifier } from './http-signature.js';

/** What signs: a private key, and the name that the other side knows it by. */
export interface SigningKey {
  readonly keyid: string;
  readonly key: KeyObject;
  readonly algorithm: SignatureAlgorithm;
}

/**
 * The two fields of a new signature.
 * @param components what it covers: `@method`, or with parameters `"@method";req`
 * @throws SignatureError where the message lacks one of them
 */
export function signatureFields(
  message: Message,
  components: readonly string[],
  { keyid, key, algorithm }: SigningKey,
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

/** What the signature of an answer covers: the answer, and the request that it is the answer to (RFC 9421, section 2.4). */
export function responseComponents({ lines, request }: ResponseMessage): string[] {
  return [
    '@status',
    BODY_COMPONENT,
    ...(lines('Content-Type').length ? ['content-type'] : []),
    ...['@method', '@authority', '@path', '@query'].map((name) => `"${name}";req`),
    ...(request.lines('Signature').length ? ['"signature";req'] : []),
  ];
}
