import { HttpException, HttpStatus, PreconditionFailedException } from '@nestjs/common';

/** The version of a document as a strong entity tag (RFC 9110, section 8.8.3). */
export const etagOf = ({ version }: { version: number }) => `"${version}"`;

/**
 * Writes are conditional (RFC 9110, section 13.1.1), so that nobody overwrites what they have not seen.
 * A weak tag never matches: If-Match compares strongly.
 *
 * @throws HttpException 428 `precondition_required` (RFC 6585, section 3) without If-Match
 * @throws PreconditionFailedException 412 `precondition_failed` where it names another version
 */
export function checkIfMatch(ifMatch: string | undefined, document: { version: number }): void {
  if (ifMatch === undefined)
    throw new HttpException(
      {
        code: 'precondition_required',
        detail: 'Send If-Match with the ETag of the current version.',
      },
      HttpStatus.PRECONDITION_REQUIRED,
    );
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (!tags.includes('*') && !tags.includes(etagOf(document))) throw preconditionFailed();
}

export const preconditionFailed = () =>
  new PreconditionFailedException({
    code: 'precondition_failed',
    detail: 'The document has changed since the version in If-Match. Read it again.',
  });
