import { BadRequestException, Injectable } from '@nestjs/common';
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
import type { SecretBox } from '../../crypto/secret-box.js';
import { dateFromRow, nullableDateFromRow } from '../../database/raw-dates.js';
import {
  accountOfActive,
  credentialQuery,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { principalOf } from '../../users/principal-of.js';
import { accessKeyBox } from './sigv4.service.js';
import { expiryOf, findFault } from './sigv4.checks.js';
import { REGION, SERVICE } from './sigv4.config.js';
import { AccessKey } from './sigv4.entity.js';
import {
  hasName,
  isPresigned,
  parseHeader,
  parsePresigned,
  parseQuery,
  hasDuplicateName,
  hasSigV4Scheme,
  splitTarget,
} from './sigv4.parser.js';
import {
  ALGORITHM,
  canonicalRequest,
  newSecret,
  sameSignature,
  sha256,
  sign,
  stringToSign,
} from './sigv4.js';

/** One code for every wrong signature, whatever is wrong with it; the log has the reason. */
const CODE = 'invalid_sigv4';
const SAFE = ['GET', 'HEAD', 'OPTIONS'];

interface Row extends CredentialRow {
  readonly sealed: string;
  readonly previousSealed: string | null;
  readonly previousUntil: Date | string | null;
}

@Injectable()
export class SigV4Strategy extends PassportStrategy(Strategy, 'sigv4') implements AuthStrategy {
  readonly challenge = new Challenge(ALGORITHM, { realm: 'auth-atlas', region: REGION, service: SERVICE });

  private readonly find: (id: string) => Promise<Row | undefined>;
  private readonly box: SecretBox;
  private readonly nobodys: { readonly id: string; readonly sealed: string };

  constructor(
    dataSource: DataSource,
    private readonly settings: Settings,
    private readonly oneTime: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialQuery<Row>(dataSource, 'access_keys', [
      'sealed',
      'previousSealed',
      'previousUntil',
    ]);
    this.box = accessKeyBox(settings);
    this.nobodys = { id: 'nobody', sealed: this.box.seal(newSecret(), 'nobody') };
  }

  claims(request: AuthRequest): boolean {
    return hasSigV4Scheme(request.header('Authorization') ?? '') || isPresigned(request.target);
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const { claim, path, query } = read(request);
    const now = new Date();
    const payloadHash = sha256(request.rawBody ?? '');
    const flaw = findFault(claim, request, query, payloadHash, now);
    if (flaw) throw refused(flaw);
    if (!this.settings.answersTo(request.authority)) throw refused('it is for another host');

    const canonical = canonicalRequest({
      method: request.method,
      path,
      query: query.filter((each) => claim.lifetimeSeconds === undefined || !hasName('X-Amz-Signature')(each)),
      headers: claim.signedHeaders.map((name) => [name, request.lines(name)]),
      payloadHash,
    });
    const toSign = stringToSign(claim.time, claim.scope, canonical);
    const isBy = ({ id, sealed }: { id: string; sealed: string }) =>
      sameSignature(claim.signature, sign(this.box.open(sealed, id), claim.scope, toSign));
    const key = await this.find(claim.keyId);
    // An unknown key costs what a known one does.
    const current = isBy(key ?? this.nobodys);
    const previous =
      key?.previousSealed && dateFromRow(key.previousUntil ?? now) > now
        ? isBy({ id: key.id, sealed: key.previousSealed })
        : false;
    if (!key || !(current || previous)) throw refused('unknown key or wrong signature');

    const account = accountOfActive(key, refused);
    const presigned = claim.lifetimeSeconds !== undefined;
    const proof = {
      method: 'sigv4',
      credentialId: key.id,
      at: now,
      amr: presigned ? [] : ['pop'],
      // Whoever has a copy of a presigned URL can use it.
      bound: !presigned,
      ...(presigned || key.expiresAt ? ({ restricted: true } as const) : {}),
    } as const;
    const principal = principalOf(account, proof, refused, scopesFromRow(key));
    // SigV4 has no nonce. What changes something is done once; what is read may be read until the signature ends.
    if (
      !SAFE.includes(request.method) &&
      !(await this.oneTime.use(`sigv4 signature of ${key.id}`, claim.signature, expiryOf(claim)))
    )
      throw refused(`a signature of the key ${key.id} was used before`).ofAccount(account);
    this.lastUsed.touch(AccessKey, 'lastUsedAt', key.id, nullableDateFromRow(key.lastUsedAt));
    return principal;
  }
}

/** @throws BadRequestException where two readers could read two things, BadCredential where it is malformed */
function read(request: AuthRequest) {
  const authorization = request.header('Authorization') ?? '';
  const presigned = isPresigned(request.target);
  if (presigned && hasSigV4Scheme(authorization))
    throw new BadRequestException({
      code: 'ambiguous_credentials',
      detail: 'The header is signed, and the URL is as well. Send one signature.',
    });
  const { path, query: text } = splitTarget(request.target);
  const query = parseQuery(text);
  if (query && hasDuplicateName(query))
    throw new BadRequestException({
      code: 'duplicate_parameter',
      detail: 'A signed query has each parameter once: the signature does not say in which order they came.',
    });
  const claim = presigned
    ? query && parsePresigned(query)
    : parseHeader(authorization, request.header('X-Amz-Date'));
  if (!query || !claim) throw refused('not a signature, or malformed');
  return { claim, path, query };
}

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
