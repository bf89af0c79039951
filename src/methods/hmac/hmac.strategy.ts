import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthStrategy } from '../../authentication/method.js';
import { LastUsedPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { nullableDateFromRow } from '../../database/columns.js';
import type { RowFinder } from '../../database/row-finder.js';
import {
  accountOfActive,
  credentialFinder,
  matchSecret,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { HmacKey } from './hmac.entity.js';
import {
  SIGNED_IF_PRESENT,
  hasHmacScheme,
  newSecret,
  parseAuthorization,
  sign,
  stringToSign,
  type HmacAuthorization,
} from './hmac.js';
import { principalOf } from '../../users/user.entity.js';

/** One code for every rejection, so that a caller cannot probe for keys. The log has the reason. */
const ERROR_CODE = 'invalid_hmac';
const MAX_CLOCK_SKEW_SECONDS = 300;
const COLUMNS = ['sealed', 'previousSealed', 'previousUntil'] as const;

interface Row extends CredentialRow {
  readonly sealed: string;
  readonly previousSealed: string | null;
  readonly previousUntil: Date | string | null;
}

@Injectable()
export class HmacStrategy extends PassportStrategy(Strategy, 'hmac') implements AuthStrategy {
  readonly challenge: Challenge;

  private readonly find: RowFinder<Row>;
  /** Verified in place of an unknown key, so that both take the same time. */
  private readonly dummyKey: Pick<Row, 'id' | (typeof COLUMNS)[number]>;

  constructor(
    dataSource: DataSource,
    private readonly settings: Settings,
    private readonly box: SecretBox,
    private readonly replayStore: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.challenge = new Challenge('HMAC-SHA256', { realm: 'auth-atlas', audience: settings.publicUrl });
    this.find = credentialFinder<Row>(dataSource, 'hmac_keys', COLUMNS);
    const sealed = box.seal(newSecret(), 'dummy');
    this.dummyKey = { id: 'dummy', sealed, previousSealed: null, previousUntil: null };
  }

  claims(request: AuthRequest): boolean {
    return hasHmacScheme(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const authorization = parseAuthorization(request.header('Authorization') ?? '');
    if (!authorization) throw invalidCredential('malformed Authorization header');
    const now = new Date();
    const signedAt = Number(authorization.timestamp);
    if (Math.abs(now.getTime() / 1000 - signedAt) > MAX_CLOCK_SKEW_SECONDS)
      throw invalidCredential('the timestamp is more than five minutes off');
    if (!this.settings.answersTo(request.authority)) throw invalidCredential('the Host is another server');
    const text = this.stringToSign(authorization, request);
    const key = await this.find(authorization.id);
    const match = this.matchSignature(key ?? this.dummyKey, authorization.signature, text);
    if (!key || !match) throw invalidCredential('unknown key or wrong signature');

    const account = accountOfActive(key, invalidCredential);
    const proof = {
      method: 'hmac',
      credentialId: key.id,
      at: now,
      amr: ['pop'],
      bound: true,
      ...match,
    } as const;
    const principal = principalOf(account, proof, invalidCredential, scopesFromRow(key));
    // Checked last, so that only the holder of the secret can use up a nonce.
    const expiresAt = new Date((signedAt + MAX_CLOCK_SKEW_SECONDS) * 1000);
    if (!(await this.replayStore.use(`hmac nonce of ${key.id}`, authorization.nonce, expiresAt)))
      throw invalidCredential(`the nonce was already used with the key ${key.id}`).ofAccount(account);
    this.lastUsed.touch(HmacKey, 'lastUsedAt', key.id, nullableDateFromRow(key.lastUsedAt));
    return principal;
  }

  private stringToSign(authorization: HmacAuthorization, request: AuthRequest): string {
    const { method, authority, target, rawBody: body } = request;
    const fields = signedFields(request, authorization.headers);
    const audience = this.settings.publicUrl;
    return stringToSign({ ...authorization, audience, method, authority, target, body, fields });
  }

  private matchSignature(key: HmacStrategy['dummyKey'], signature: string, text: string) {
    const { id, sealed: current, previousSealed: previous, previousUntil } = key;
    return matchSecret({ current, previous, previousUntil }, (sealed) =>
      constantTimeEqual(signature, sign(this.box.open(sealed, id), text)),
    );
  }
}

/** @throws BadCredential if a named header is absent, or a header that must be signed is not named */
function signedFields(request: AuthRequest, names: readonly string[]): [name: string, value: string][] {
  for (const name of SIGNED_IF_PRESENT)
    if (!names.includes(name) && request.header(name) !== undefined)
      throw invalidCredential(`${name} is not signed`);
  return names.map((name) => {
    const value = request.header(name);
    if (value === undefined) throw invalidCredential('a signed header is absent');
    return [name, value];
  });
}

const invalidCredential = (reason: string) => new BadCredential(ERROR_CODE, reason, { error: ERROR_CODE });
