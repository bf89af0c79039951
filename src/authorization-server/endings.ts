import { createHash } from 'node:crypto';
import { Not, type EntityManager, type FindOptionsWhere } from 'typeorm';
import { AccessToken } from '../access-tokens/access-token.entity.js';
import { OauthRecord } from './record.entity.js';

/** The name of a record's row. */
export const digestOf = (kind: string, id: string) =>
  createHash('sha256').update(`${kind} ${id}`).digest('base64url');

/** What stands in `sealed` of a record that has ended. */
export const ENDED = '';

/** Ends records. Their rows stay for their time, empty: whoever had read one before cannot bring it back. */
export async function end(manager: EntityManager, where: FindOptionsWhere<OauthRecord>): Promise<void> {
  // Rows that have ended before are left alone: those who replay a token together would wait for each other.
  await manager.update(OauthRecord, { ...where, sealed: Not(ENDED) }, { sealed: ENDED });
}

/**
 * Ends a consent with all that was given for it: codes, refresh tokens, access tokens.
 * @param manager of a transaction
 */
export async function endConsent(manager: EntityManager, grantId: string): Promise<void> {
  // The consent first: an access token that is being made holds its row, see Issuance, and so is found below.
  await end(manager, { id: digestOf('Grant', grantId) });
  await end(manager, { grantId });
  await manager.delete(AccessToken, { grantId });
}
