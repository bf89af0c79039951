import type { AuthRequest } from '../../authentication/request.js';
import { REGION, SERVICE } from './sigv4.config.js';
import { queryParameter, type SigV4Parameters } from './sigv4.parser.js';
import type { QueryParameter } from './sigv4.js';

/** How far the caller's clock may be from this one's, and how long a signature in a header is good. */
const SKEW_MS = 5 * 60_000;

/** What decides on what a request does must be signed, where it stands. All stock signers do. */
const DECISIVE = ['content-type', 'if-match'];

/** From when on a signature is refused. */
export const expiryOf = ({ signedAt: at, lifetimeSeconds: lifetime }: SigV4Parameters): Date =>
  new Date(at.getTime() + (lifetime === undefined ? SKEW_MS : lifetime * 1000));

/** What is wrong with a well-formed signature, whoever's it is: for the log. Undefined where nothing is. */
export function findFault(
  claim: SigV4Parameters,
  request: AuthRequest,
  query: readonly QueryParameter[],
  payloadHash: string,
  now: Date,
): string | undefined {
  const { scope, time, signedAt: at } = claim;
  if (scope.region !== REGION || scope.service !== SERVICE) return 'it is for another region or service';
  if (!time.startsWith(scope.day)) return 'its date is not the day of its scope';
  if (at.getTime() > now.getTime() + SKEW_MS) return 'it is from the future';
  if (expiryOf(claim) <= now) return 'its time is over';

  const signed = new Set(claim.signedHeaders);
  if (!signed.has('host')) return 'the host is not signed';
  const decides = (name: string) => name.startsWith('x-amz-') || DECISIVE.includes(name);
  if (Object.keys(request.headers).some((name) => decides(name) && !signed.has(name)))
    return 'a header that must be signed is not';
  if (claim.signedHeaders.some((name) => !request.lines(name).length)) return 'a signed header is missing';

  const sent = (name: string) => request.header(name) ?? queryParameter(query, name);
  // This server issues none, so whoever holds one has it from elsewhere.
  if (sent('X-Amz-Security-Token') !== undefined) return 'it comes with a session token';
  // Also the end of UNSIGNED-PAYLOAD and of the streaming forms, which are hashes of nothing.
  if ((sent('X-Amz-Content-Sha256') ?? payloadHash) !== payloadHash) return 'the body is another';
  return undefined;
}
