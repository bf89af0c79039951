import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { isInnerList } from 'structured-headers';
import { DataSource } from 'typeorm';
import { authRequestOf } from '../../authentication/caller.js';
import type { CompleteResponse } from '../../authentication/on-send.js';
import type { AuthRequest } from '../../authentication/request.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { contentDigest } from './http-signature.content-digest.js';
import { InvalidSignature, TAG, readDictionary } from './http-signature.js';
import { responseComponents, signatureFields, type SigningKey } from './http-signature.signer.js';

/** What `Accept-Signature` asks for (RFC 9421, section 5.1). */
interface Wish {
  readonly label: string;
  readonly nonce?: string;
}

/**
 * Signs the answer where the request asks for it, whatever has proved the request. What the guards refuse is not signed:
 * nobody who is not let in makes this server compute.
 */
@Injectable()
export class ResponseSigningInterceptor implements NestInterceptor {
  constructor(
    private readonly keys: SigningKeys,
    private readonly dataSource: DataSource,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<ReturnType<CallHandler['handle']>> {
    const request = authRequestOf(context);
    const wish = wishOf(request.lines('Accept-Signature'));
    if (wish) {
      const { kid, key } = await this.keys.active(this.dataSource.manager);
      const signer: SigningKey = { keyid: kid, key, algorithm: 'ecdsa-p256-sha256' };
      request.onSend((answer) => fieldsOf(answer, request, signer, wish));
    }
    return next.handle();
  }
}

function fieldsOf(
  answer: CompleteResponse,
  request: AuthRequest,
  signer: SigningKey,
  wish: Wish,
): Record<string, string> {
  const digest = { 'Content-Digest': contentDigest(answer.body) };
  const message = {
    status: answer.status,
    lines: (name: string) => {
      const value = name.toLowerCase() === 'content-digest' ? digest['Content-Digest'] : answer.header(name);
      return value === undefined ? [] : [value];
    },
    request,
  };
  try {
    return { ...digest, ...signatureFields(message, responseComponents(message), signer, wish) };
  } catch (error) {
    // Of this request something cannot be signed. The answer is complete, and goes out without.
    if (error instanceof InvalidSignature) return {};
    throw error;
  }
}

/** A wish that is not understood is not one: the field is no credential. */
function wishOf(lines: readonly string[]): Wish | undefined {
  try {
    for (const [label, member] of readDictionary(lines)) {
      const [, parameters] = member;
      if (!isInnerList(member) || parameters.get('tag') !== TAG) continue;
      const nonce = parameters.get('nonce');
      return { label, ...(typeof nonce === 'string' && { nonce }) };
    }
  } catch (error) {
    if (!(error instanceof InvalidSignature)) throw error;
  }
  return undefined;
}
