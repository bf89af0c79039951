import { BadRequestException, ForbiddenException, Injectable } from '@nestjs/common';
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
import { WebhookSource } from './webhook.entity.js';
import {
  TOLERANCE_SECONDS,
  isCurrent,
  isSignedBy,
  parseSecret,
  isRequestIdFor,
  newSecret,
  parseHeaders,
} from './webhook.js';

/** One code for everything that is wrong with a signature; the log has the reason. */
const CODE = 'invalid_webhook';
/** The one address of a source's messages. */
const INBOUND = /^\/webhooks\/(\w{1,36})(?:\?|$)/;
/** What a source without scopes may ask: who it is. */
const WHO = ['/me', '/demo/webhook'];

const COLUMNS = ['secret', 'previousSecret', 'previousUntil'] as const;

interface Row extends CredentialRow {
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly previousUntil: Date | string | null;
}

@Injectable()
export class WebhookStrategy extends PassportStrategy(Strategy, 'webhook') implements AuthStrategy {
  /** The standard has no scheme: this name is our own. */
  readonly challenge = new Challenge('Webhook', { realm: 'auth-atlas' });

  private readonly find: (id: string) => Promise<Row | undefined>;
  private readonly box: SecretBox;
  /** What an unknown source is verified with, so that it costs what a known one does. */
  private readonly nobody: Pick<Row, 'id' | (typeof COLUMNS)[number]>;

  constructor(
    dataSource: DataSource,
    settings: Settings,
    private readonly oneTime: ReplayStore,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialQuery<Row>(dataSource, 'webhook_sources', COLUMNS);
    this.box = new SecretBox(settings, 'webhook');
    const secret = this.box.seal(newSecret(), 'nobody');
    this.nobody = { id: 'nobody', secret, previousSecret: null, previousUntil: null };
  }

  claims(request: AuthRequest): boolean {
    return request.header('webhook-signature') !== undefined;
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const attempt = parseHeaders(
      request.header('webhook-id'),
      request.header('webhook-timestamp'),
      request.header('webhook-signature'),
    );
    if (!attempt) throw refused('not an attempt in the form of the standard');
    const { id, timestamp, signatures } = attempt;
    if (!isCurrent(timestamp)) throw refused('its timestamp is too old or too new');
    const body = request.rawBody ?? Buffer.alloc(0);
    const { sourceId, isMessage } = signerOf(request, id);
    const source = await this.find(sourceId);
    const signed = isSignedBy(this.keysOf(source), { id, timestamp, body }, signatures);
    if (!source || !signed) throw refused('unknown source or wrong signature');
    const account = accountOfActive(source, refused);
    const now = new Date();
    // `restricted`: a secret that lies with a sender is for its messages, and makes no other credentials.
    const proof = { credentialId: source.id, at: now, amr: ['pop'], bound: true, restricted: true } as const;
    const principal = principalOf(account, { method: 'webhook', ...proof }, refused, scopesFromRow(source));
    // Twice as long as it is current, for processes whose clocks differ.
    const until = new Date((timestamp + 2 * TOLERANCE_SECONDS) * 1000);
    if (!(await this.oneTime.use(`webhook attempt of ${source.id}`, `${id}.${timestamp}`, until)))
      throw refused(`the source ${source.id} sent this before`).ofAccount(account);
    if (principal.scopes?.length === 0 && !isMessage && !WHO.includes(request.target))
      throw new ForbiddenException({
        code: 'forbidden',
        detail: 'A source without scopes delivers messages, and nothing else.',
      });
    this.lastUsed.touch(WebhookSource, 'lastUsedAt', source.id, nullableDateFromRow(source.lastUsedAt));
    return principal;
  }

  /** The source's keys that are good: one, or two during a rotation. */
  private keysOf({ id, secret, previousSecret, previousUntil } = this.nobody) {
    const overlaps = previousSecret && previousUntil && dateFromRow(previousUntil) > new Date();
    return [secret, ...(overlaps ? [previousSecret] : [])].flatMap(
      (sealed) => parseSecret(this.box.open(sealed, id)) ?? [],
    );
  }
}

/**
 * Whose signature it is to be, and whether it is meant for this request at all: a message for its source's own address,
 * anything else for the request that its id names.
 */
function signerOf(request: AuthRequest, id: string): { sourceId: string; isMessage: boolean } {
  const named = request.header('Webhook-Source');
  const [, addressed] = (request.method === 'POST' && INBOUND.exec(request.target)) || [];
  if (named !== undefined && addressed !== undefined && named !== addressed)
    throw new BadRequestException({
      code: 'ambiguous_credentials',
      detail: 'The path and Webhook-Source name different sources.',
    });
  const sourceId = addressed ?? named;
  if (sourceId === undefined) throw refused('names no source');
  const isMessage = addressed !== undefined;
  if (!(isRequestIdFor(id, request.method, request.target) ?? isMessage))
    throw refused('signed for another request');
  return { sourceId, isMessage };
}

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
