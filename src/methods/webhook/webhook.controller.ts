import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { GUESSABLE, isGuessable } from '../../config/secret-strength.js';
import { Settings } from '../../config/settings.js';
import { ACCOUNT_QUERY, NEW_CREDENTIAL_FIELDS, ROTATION_SCHEMA } from '../../users/credential.js';
import type { WebhookSource } from './webhook.entity.js';
import { WebhookInbox } from './webhook.inbox.service.js';
import { parseSecret } from './webhook.js';
import { WebhookService } from './webhook.service.js';

const secret = z
  .string()
  .max(100)
  .refine((text) => parseSecret(text) !== undefined, 'must be whsec_ and the base64 of 24 to 64 bytes')
  .refine((text) => !isGuessable(text.slice('whsec_'.length)), GUESSABLE)
  .optional();
const NewSource = z.strictObject({ ...NEW_CREDENTIAL_FIELDS, secret });
const Rotation = z.strictObject({ ...ROTATION_SCHEMA.unwrap().shape, secret }).prefault({});

/** The payload of the standard. Other members are allowed, and the form of `data` depends on `type`. */
const Event = z.looseObject({
  type: z
    .string()
    .max(128)
    .regex(/^\w+(?:\.\w+)*$/, 'must be words separated by full stops, such as user.created'),
  timestamp: z.iso.datetime({ offset: true }),
  data: z.looseObject({}),
});

@Controller()
@SelfService()
export class WebhookController {
  constructor(
    private readonly sources: WebhookService,
    private readonly inbox: WebhookInbox,
    private readonly settings: Settings,
  ) {}

  @Get('demo/webhook')
  @Authenticate('webhook')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** Receives the messages of one sender. The last path segment is the id of the source. */
  @Post('webhooks/:source')
  @HttpCode(200)
  @Authenticate('webhook')
  async receive(
    @Caller() sender: Principal,
    @CurrentRequest() request: AuthRequest,
    @Param('source') source: string,
    @Body({ schema: Event }) { type }: z.output<typeof Event>,
  ) {
    // A router that accepts several spellings of a path could match another source's address.
    if (sender.proofs[0].credentialId !== source) throw new NotFoundException();
    const id = request.header('webhook-id')!;
    const isFirst = await this.inbox.accept(sender, source, id, request.rawBody!);
    return { id, type, duplicate: !isFirst };
  }

  @Post('webhook-sources')
  async issue(@Caller() caller: Principal, @Body({ schema: NewSource }) source: z.output<typeof NewSource>) {
    const { row, secret } = await this.sources.issue(caller, source);
    return { ...this.toResponse(row), secret };
  }

  @Get('webhook-sources')
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.sources.list(caller, accountId)).map((row) => this.toResponse(row)) };
  }

  @Post('webhook-sources/:id/rotate')
  async rotate(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: Rotation }) rotation: z.output<typeof Rotation>,
  ) {
    const { row, secret } = await this.sources.rotate(caller, id, rotation.overlapSeconds, rotation.secret);
    return { ...this.toResponse(row), secret };
  }

  @Delete('webhook-sources/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.sources.revoke(caller, id);
  }

  /** All of a source except its secrets. */
  private toResponse({ id, name, scopes, createdAt, expiresAt, lastUsedAt, previousUntil }: WebhookSource) {
    const url = `${this.settings.publicUrl}/webhooks/${id}`;
    return { id, name, url, scopes, createdAt, expiresAt, lastUsedAt, previousUntil };
  }
}
