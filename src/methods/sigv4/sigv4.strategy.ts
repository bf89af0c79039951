import { BadRequestException, Injectable } from '@nestjs/common';
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
import { REGION, SERVICE } from './sigv4.config.js';
import { AccessKey } from './sigv4.entity.js';
import {
  expiryOf,
  findFault,
  hasDuplicateName,
  hasName,
  hasSigV4Scheme,
  isPresigned,
  parseHeader,
  parsePresigned,
  parseQuery,
  splitTarget,
  type SigV4Parameters,
} from './sigv4.parser.js';
import {
  ALGORITHM,
  canonicalRequest,
  newSecret,
  sha256,
  sign,
  stringToSign,
  type QueryParameter,
} from './sigv4.js';
import { principalOf } from '../../users/user.entity.js';

/** One code for every rejection, so that a caller cannot probe for keys. The log has the reason. */
const ERROR_CODE = 'invalid_sigv4';
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];
const COLUMNS = ['sealed', 'previousSealed', 'previousUntil'] as const;

interface Row extends CredentialRow {
  readonly sealed: string;
  readonly previousSealed: string | null;
  readonly previousUntil: Date | string | null;
}

/** The parts of a request that are needed to verify its signature. */
interface ParsedRequest {
  readonly parameters: SigV4Parameters;
  readonly path: string;
  readonly query: readonly QueryParameter[];
}

@Injectable()
export class SigV4Strategy extends PassportStrategy(Strategy, 'sigv4') implements AuthStrategy {
  readonly challenge = new Challenge(ALGORITHM, { realm: 'auth-atlas', region: REGION, service: SERVICE });

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
    this.find = credentialFinder<Row>(dataSource, 'access_keys', COLUMNS);
    const sealed = box.seal(newSecret(), 'dummy');
    this.dummyKey = { id: 'dummy', sealed, previousSealed: null, previousUntil: null };
  }

  claims(request: AuthRequest): boolean {
    return hasSigV4Scheme(request.header('Authorization') ?? '') || isPresigned(request.target);
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const parsed = parse(request);
    const { parameters, query } = parsed;
    const now = new Date();
    const payloadHash = sha256(request.rawBody ?? '');
    const fault = findFault(parameters, request, query, payloadHash, now);
    if (fault) throw invalidCredential(fault);
    if (!this.settings.answersTo(request.authority)) throw invalidCredential('the Host is another server');

    const toSign = stringToSign(
      parameters.time,
      parameters.scope,
      canonicalRequestOf(request, parsed, payloadHash),
    );
    const key = await this.find(parameters.keyId);
    const match = this.matchSignature(key ?? this.dummyKey, parameters, toSign);
    if (!key || !match) throw invalidCredential('unknown key or wrong signature');

    const account = accountOfActive(key, invalidCredential);
    const presigned = parameters.lifetimeSeconds !== undefined;
    const proof = {
      method: 'sigv4',
      credentialId: key.id,
      at: now,
      // A copy of a presigned URL is enough to use it, so it proves no possession of the key.
      amr: presigned ? [] : ['pop'],
      bound: !presigned,
      ...(presigned ? ({ restricted: true } as const) : match),
    } as const;
    const principal = principalOf(account, proof, invalidCredential, scopesFromRow(key));
    // SigV4 has no nonce. The signature of an unsafe request is accepted once; a safe request may be repeated until it expires.
    if (!SAFE_METHODS.includes(request.method) && !(await this.isFirstUse(key.id, parameters)))
      throw invalidCredential(`the signature was already used with the key ${key.id}`).ofAccount(account);
    this.lastUsed.touch(AccessKey, 'lastUsedAt', key.id, nullableDateFromRow(key.lastUsedAt));
    return principal;
  }

  private matchSignature(
    key: SigV4Strategy['dummyKey'],
    { signature, scope }: SigV4Parameters,
    toSign: string,
  ) {
    const { id, sealed: current, previousSealed: previous, previousUntil } = key;
    return matchSecret({ current, previous, previousUntil }, (sealed) =>
      constantTimeEqual(signature, sign(this.box.open(sealed, id), scope, toSign)),
    );
  }

  private isFirstUse(keyId: string, parameters: SigV4Parameters): Promise<boolean> {
    const { signature } = parameters;
    return this.replayStore.use(`sigv4 signature of ${keyId}`, signature, expiryOf(parameters));
  }
}

/**
 * @throws BadRequestException if the request is ambiguous
 * @throws BadCredential if it is malformed
 */
function parse(request: AuthRequest): ParsedRequest {
  const authorization = request.header('Authorization') ?? '';
  const presigned = isPresigned(request.target);
  if (presigned && hasSigV4Scheme(authorization))
    throw new BadRequestException({
      code: 'ambiguous_credentials',
      detail: 'The header and the URL both contain a signature. Send only one.',
    });
  const { path, query: text } = splitTarget(request.target);
  const query = parseQuery(text);
  if (query && hasDuplicateName(query))
    throw new BadRequestException({
      code: 'duplicate_parameter',
      detail:
        'A signed query may contain each parameter only once, because the signature does not cover their order.',
    });
  const parameters = presigned
    ? query && parsePresigned(query)
    : parseHeader(authorization, request.header('X-Amz-Date'));
  if (!query || !parameters) throw invalidCredential('malformed signature');
  return { parameters, path, query };
}

const canonicalRequestOf = (
  request: AuthRequest,
  { parameters, path, query }: ParsedRequest,
  payloadHash: string,
): string =>
  canonicalRequest({
    method: request.method,
    path,
    query: query.filter(
      (each) => parameters.lifetimeSeconds === undefined || !hasName('X-Amz-Signature')(each),
    ),
    headers: parameters.signedHeaders.map((name) => [name, request.lines(name)]),
    payloadHash,
  });

const invalidCredential = (reason: string) => new BadCredential(ERROR_CODE, reason, { error: ERROR_CODE });
