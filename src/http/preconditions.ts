import { HttpException, HttpStatus, PreconditionFailedException } from '@nestjs/common';

interface Versioned {
  readonly version: number;
}

/** The version of a resource as a strong entity tag (RFC 9110 section 8.8.3). */
export const etagOf = ({ version }: Versioned) => `"${version}"`;

/**
 * Checks `If-Match` (RFC 9110 section 13.1.1), so that a write does not overwrite changes that the caller has not read.
 * If-Match uses the strong comparison, which a weak tag (`W/"1"`) never passes.
 *
 * @throws HttpException 428 `precondition_required` without If-Match (RFC 6585 section 3)
 * @throws PreconditionFailedException 412 `precondition_failed` if it names another version
 */
export function checkIfMatch(ifMatch: string | undefined, current: Versioned): void {
  if (ifMatch === undefined) throw preconditionRequired();
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (!tags.includes('*') && !tags.includes(etagOf(current))) throw preconditionFailed();
}

/** 304, without a body. Not an error: Nest has no other way to replace a handler's response. */
export class NotModified extends HttpException {
  constructor() {
    super('', HttpStatus.NOT_MODIFIED);
  }
}

/**
 * Checks `If-None-Match` (RFC 9110 section 13.1.2). It uses the weak comparison.
 * @throws NotModified if the caller already has this version
 */
export function checkIfNoneMatch(ifNoneMatch: string | undefined, current: Versioned): void {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (tags.includes('*') || tags.includes(etagOf(current))) throw new NotModified();
}

const preconditionRequired = () =>
  new HttpException(
    { code: 'precondition_required', detail: 'Send If-Match with the ETag of the current version.' },
    HttpStatus.PRECONDITION_REQUIRED,
  );

export const preconditionFailed = () =>
  new PreconditionFailedException({
    code: 'precondition_failed',
    detail: 'The resource has changed since the version in If-Match. Read it again.',
  });
