import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { isInnerList } from 'structured-headers';
import { DataSource } from 'typeorm';
import { beforeSend } from '../../authentication/on-send.js';
import { authRequestOf, type AuthRequest } from '../../authentication/request.js';
import type { CompleteResponse } from '../../authentication/on-send.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { contentDigest } from './http-signature.content-digest.js';
import { InvalidSignature, TAG, parseCanonicalDictionary } from './http-signature.js';
import { responseComponents, signatureHeaders, type PrivateSignatureKey } from './http-signature.signer.js';

/** A member of `Accept-Signature` (RFC 9421 section 5.1). */
interface RequestedSignature {
  readonly label: string;
  readonly nonce?: string;
}

/**
 * Signs the response if the request contains `Accept-Signature` (RFC 9421 section 5.2), for every authentication
 * method. The application's own global guards run before those of its modules, so requests that they reject (401, 403, 429)
 * never cost a signature. A guard, because an interceptor would bring RxJS into every request.
 */
@Injectable()
export class ResponseSigningGuard implements CanActivate {
  constructor(
    private readonly keys: SigningKeys,
    private readonly dataSource: DataSource,
  ) {}

  canActivate(context: ExecutionContext): true | Promise<true> {
    const request = authRequestOf(context);
    const requested = requestedSignature(request.lines('Accept-Signature'));
    return !requested || this.signWhenComplete(request, requested);
  }

  private async signWhenComplete(request: AuthRequest, requested: RequestedSignature): Promise<true> {
    const { kid, key } = await this.keys.active(this.dataSource.manager);
    const signingKey: PrivateSignatureKey = { keyid: kid, key, algorithm: 'ecdsa-p256-sha256' };
    beforeSend(request.response, (response) => signedHeaders(response, request, signingKey, requested));
    return true;
  }
}

/** Returns the headers of a signed response, or none if a covered component cannot be signed. */
function signedHeaders(
  response: CompleteResponse,
  request: AuthRequest,
  signingKey: PrivateSignatureKey,
  requested: RequestedSignature,
): Record<string, string> {
  const digest = { 'Content-Digest': contentDigest(response.body) };
  const message = {
    status: response.status,
    lines: (name: string) => {
      const isDigest = name.toLowerCase() === 'content-digest';
      const value = isDigest ? digest['Content-Digest'] : response.header(name);
      return value === undefined ? [] : [value];
    },
    request,
  };
  try {
    return { ...digest, ...signatureHeaders(message, responseComponents(message), signingKey, requested) };
  } catch (error) {
    if (error instanceof InvalidSignature) return {};
    throw error;
  }
}

/** The first requested signature with our tag. `Accept-Signature` is no credential, so a malformed one is ignored. */
function requestedSignature(lines: readonly string[]): RequestedSignature | undefined {
  try {
    for (const [label, member] of parseCanonicalDictionary(lines)) {
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
