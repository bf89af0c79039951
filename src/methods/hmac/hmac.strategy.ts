import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { dateFromRow, nullableDateFromRow } from '../../database/raw-dates.js';
import {
  accountOfActive,
  credentialQuery,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { principalOf } from '../../users/principal-of.js';
import { HmacKey } from './hmac.entity.js';
import { MUST_BE_SIGNED, macOf, newSecret, parseAuthorization, sameMac, speaksHmac, textOf } from './hmac.js';

/** One code for every request that is not signed rightly, whatever is wrong; the log has the reason. */
const CODE = 'invalid_hmac';
/** How far a caller's clock may be from ours, either way, in seconds. */
const MOST_SKEW = 300;

const COLUMNS = ['sealed', 'previousSealed', 'previousUntil'] as const;

interface Row extends CredentialRow {
  readonly sealed: string;
  readonly previousSealed: string | null;
  readonly previousUntil: Date | string | null;
}

@Injectable()
export class HmacStrategy extends PassportStrategy(Strategy, 'hmac') implements AuthStrategy {
  readonly challenge: Challenge;

  private readonly find: (id: string) => Promise<Row | undefined>;
  /** What an unknown key is checked with, so that it costs what a known one does. */
  private readonly nobodys: Pick<Row, 'id' | 'sealed'>;

  constructor(
    dataSource: DataSource,
    private readonly settings: Settings,
    private readonly box: SecretBox,
    private readonly oneTime: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.challenge = new Challenge('HMAC-SHA256', { realm: 'auth-atlas', audience: settings.publicUrl });
    this.find = credentialQuery<Row>(dataSource, 'hmac_keys', COLUMNS);
    this.nobodys = { id: 'nobody', sealed: box.seal(newSecret(), 'nobody') };
  }

  claims(request: AuthRequest): boolean {
    return speaksHmac(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const sent = parseAuthorization(request.header('Authorization') ?? '');
    if (!sent) throw refused('not of the form that is asked for');
    const now = new Date();
    const signedAt = Number(sent.timestamp);
    if (Math.abs(now.getTime() / 1000 - signedAt) > MOST_SKEW) throw refused('signed too long ago or ahead');
    const { method, authority, target, rawBody: body } = request;
    if (!this.settings.answersTo(authority)) throw refused('the Host is not ours');
    const fields = signedFields(request, sent.headers);
    const key = await this.find(sent.id);
    const audience = this.settings.publicUrl;
    const text = textOf({ ...sent, audience, method, authority, target, body, fields });
    const good = this.secretsOf(key, now).some((secret) => sameMac(sent.signature, macOf(secret, text)));
    if (!key || !good) throw refused('unknown key, or wrong signature');
    const account = accountOfActive(key, refused);
    const proof = {
      method: 'hmac',
      credentialId: key.id,
      at: now,
      amr: ['pop'],
      bound: true,
      ...(key.expiresAt && ({ restricted: true } as const)),
    } as const;
    const principal = principalOf(account, proof, refused, scopesFromRow(key));
    // Last of all, so that only who can sign uses a nonce. Kept for twice as long as a request is good: the clocks of
    // processes differ as well.
    const until = new Date((signedAt + 2 * MOST_SKEW) * 1000);
    if (!(await this.oneTime.use(`hmac nonce of ${key.id}`, sent.nonce, until)))
      throw refused(`the nonce was used before with the key ${key.id}`).ofAccount(account);
    this.lastUsed.touch(HmacKey, 'lastUsedAt', key.id, nullableDateFromRow(key.lastUsedAt));
    return principal;
  }

  /** The secrets that a signature may be made with: one, or two for a while after a rotation. */
  private secretsOf(key: Row | undefined, now: Date): string[] {
    const { id, sealed } = key ?? this.nobodys;
    const secrets = [this.box.open(sealed, id)];
    if (key?.previousSealed && dateFromRow(key.previousUntil ?? now) > now)
      secrets.push(this.box.open(key.previousSealed, id));
    return secrets;
  }
}

/** @throws BadCredential where a field that is named is absent, or one that must be signed is not named */
function signedFields(request: AuthRequest, names: readonly string[]): [name: string, value: string][] {
  for (const name of MUST_BE_SIGNED)
    if (!names.includes(name) && request.header(name) !== undefined) throw refused(`${name} is not signed`);
  return names.map((name) => {
    const value = request.header(name);
    if (value === undefined) throw refused('a signed field is absent');
    return [name, value];
  });
}

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
