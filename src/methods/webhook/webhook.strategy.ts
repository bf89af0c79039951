import { BadRequestException, ForbiddenException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthStrategy } from '../../authentication/method.js';
import { LastUsedPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { nullableDateFromRow } from '../../database/columns.js';
import type { RowFinder } from '../../database/row-finder.js';
import {
  acceptedSecrets,
  accountOfActive,
  credentialFinder,
  scopesFromRow,
  type CredentialRow,
} from '../../users/credential.js';
import { WebhookSource } from './webhook.entity.js';
import {
  TOLERANCE_SECONDS,
  isWithinTolerance,
  isRequestIdFor,
  isSignedBy,
  newSecret,
  parseHeaders,
  parseSecret,
  type DeliveryAttempt,
} from './webhook.js';
import { principalOf } from '../../users/user.entity.js';

/** One code for every rejection, so that a caller cannot probe for sources. The log has the reason. */
const ERROR_CODE = 'invalid_webhook';
/** The only address that accepts messages. */
const MESSAGE_PATH = /^\/webhooks\/(\w{1,36})(?:\?|$)/;
/** The targets that a source without scopes may request, besides delivering messages. */
const IDENTITY_TARGETS = ['/me', '/demo/webhook'];
const COLUMNS = ['secret', 'previousSecret', 'previousUntil'] as const;

interface Row extends CredentialRow {
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly previousUntil: Date | string | null;
}

@Injectable()
export class WebhookStrategy extends PassportStrategy(Strategy, 'webhook') implements AuthStrategy {
  /** The standard defines no authentication scheme. This name is specific to this project. */
  readonly challenge = new Challenge('Webhook', { realm: 'auth-atlas' });

  private readonly find: RowFinder<Row>;
  /** Verified in place of an unknown source, so that both take the same time. */
  private readonly dummySource: Pick<Row, 'id' | (typeof COLUMNS)[number]>;

  constructor(
    dataSource: DataSource,
    private readonly box: SecretBox,
    private readonly replayStore: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialFinder<Row>(dataSource, 'webhook_sources', COLUMNS);
    const secret = box.seal(newSecret(), 'dummy');
    this.dummySource = { id: 'dummy', secret, previousSecret: null, previousUntil: null };
  }

  claims(request: AuthRequest): boolean {
    return request.header('webhook-signature') !== undefined;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const { id, timestamp, signatures } = readHeaders(request);
    if (!isWithinTolerance(timestamp)) throw invalidCredential('the timestamp is more than five minutes off');
    const { sourceId, isMessage } = sourceOf(request, id);
    const source = await this.find(sourceId);
    const attempt = { id, timestamp, body: request.rawBody ?? Buffer.alloc(0) };
    const isSigned = this.isSignedBy(source ?? this.dummySource, attempt, signatures);
    if (!source || !isSigned) throw invalidCredential('unknown source or wrong signature');

    const account = accountOfActive(source, invalidCredential);
    const proof = {
      method: 'webhook',
      credentialId: source.id,
      at: new Date(),
      amr: ['pop'],
      bound: true,
      // The sender has the secret for its messages. It must not create other credentials with it.
      restricted: true,
    } as const;
    const principal = principalOf(account, proof, invalidCredential, scopesFromRow(source));
    const expiresAt = new Date((timestamp + TOLERANCE_SECONDS) * 1000);
    if (!(await this.replayStore.use(`webhook attempt of ${source.id}`, `${id}.${timestamp}`, expiresAt)))
      throw invalidCredential(`the source ${source.id} already sent this attempt`).ofAccount(account);
    if (principal.scopes?.length === 0 && !isMessage && !IDENTITY_TARGETS.includes(request.target))
      throw new ForbiddenException({
        code: 'forbidden',
        detail: 'A webhook source without scopes may only deliver messages.',
      });
    this.lastUsed.touch(WebhookSource, 'lastUsedAt', source.id, nullableDateFromRow(source.lastUsedAt));
    return principal;
  }

  private isSignedBy(
    source: WebhookStrategy['dummySource'],
    attempt: DeliveryAttempt,
    signatures: readonly string[],
  ): boolean {
    const { id, secret: current, previousSecret: previous, previousUntil } = source;
    const keys = acceptedSecrets({ current, previous, previousUntil }).flatMap(
      (sealed) => parseSecret(this.box.open(sealed, id)) ?? [],
    );
    return isSignedBy(keys, attempt, signatures);
  }
}

function readHeaders(request: AuthRequest) {
  const headers = parseHeaders(
    request.header('webhook-id'),
    request.header('webhook-timestamp'),
    request.header('webhook-signature'),
  );
  if (!headers) throw invalidCredential('malformed webhook headers');
  return headers;
}

/**
 * The source that must have signed the request. A message is accepted at the address of its source only. Any other request
 * must be named by its id.
 *
 * @throws BadCredential if the request was signed for another one
 */
function sourceOf(request: AuthRequest, id: string): { sourceId: string; isMessage: boolean } {
  const inHeader = request.header('Webhook-Source');
  const [, inPath] = (request.method === 'POST' && MESSAGE_PATH.exec(request.target)) || [];
  if (inHeader !== undefined && inPath !== undefined && inHeader !== inPath)
    throw new BadRequestException({
      code: 'ambiguous_credentials',
      detail: 'The path and Webhook-Source name different sources.',
    });
  const sourceId = inPath ?? inHeader;
  if (sourceId === undefined) throw invalidCredential('no source is named');
  const isMessage = inPath !== undefined;
  if (!(isRequestIdFor(id, request.method, request.target) ?? isMessage))
    throw invalidCredential('signed for another request');
  return { sourceId, isMessage };
}

const invalidCredential = (reason: string) => new BadCredential(ERROR_CODE, reason, { error: ERROR_CODE });
