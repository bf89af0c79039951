import { Body, Controller, Delete, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { Settings } from '../../config/settings.js';
import { NEW_CREDENTIAL_FIELDS, ROTATION_SCHEMA } from '../../users/credential.js';
import type { WebhookSource } from './webhook.entity.js';
import { WebhookInbox } from './webhook.inbox.js';
import { WebhookService } from './webhook.service.js';
import { parseSecret } from './webhook.js';

/** Many senders make the secret themselves. */
const secret = z
  .string()
  .max(100)
  .refine((text) => parseSecret(text) !== undefined, 'must be whsec_ and the base64 of 24 to 64 bytes')
  .optional();
const NewSource = z.strictObject({ ...NEW_CREDENTIAL_FIELDS, secret });
const Rotation = z.strictObject({ ...ROTATION_SCHEMA.unwrap().shape, secret }).prefault({});

/** The standard's payload; it may hold more, and what `data` is depends on `type`. */
const Event = z.looseObject({
  type: z
    .string()
    .max(128)
    .regex(/^\w+(?:\.\w+)*$/, 'must be words with full stops between them, as user.created'),
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

  /** The address that a sender is given: its last segment names the source. */
  @Post('webhooks/:source')
  @HttpCode(200)
  @Authenticate('webhook')
  async receive(
    @Caller() sender: Principal,
    @CurrentRequest() request: AuthRequest,
    @Param('source') source: string,
    @Body({ schema: Event }) { type }: z.output<typeof Event>,
  ) {
    // A router that knows one path by several spellings could lead a source to another's address.
    if (sender.proofs[0].credentialId !== source) throw new NotFoundException();
    const id = request.header('webhook-id')!;
    const first = await this.inbox.accept(sender, source, id, request.rawBody!);
    return { id, type, duplicate: !first };
  }

  @Post('webhook-sources')
  async issue(
    @Caller() caller: Principal,
    @Body({ schema: NewSource }) { name, secret, ...wanted }: z.output<typeof NewSource>,
  ) {
    const told = await this.sources.issue(caller, name, wanted, secret);
    return { ...this.view(told.row), secret: told.secret };
  }

  @Get('webhook-sources')
  async list(@Caller() caller: Principal) {
    return { items: (await this.sources.list(caller)).map((row) => this.view(row)) };
  }

  @Post('webhook-sources/:id/rotate')
  async rotate(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: Rotation }) { overlapSeconds, secret }: z.output<typeof Rotation>,
  ) {
    const told = await this.sources.rotate(caller, id, overlapSeconds, secret);
    return { ...this.view(told.row), secret: told.secret };
  }

  @Delete('webhook-sources/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.sources.revoke(caller, id);
  }

  /** What may be told of a source: all but its secrets. */
  private view({ id, name, scopes, createdAt, expiresAt, lastUsedAt, previousUntil }: WebhookSource) {
    const url = `${this.settings.publicUrl}/webhooks/${id}`;
    return { id, name, url, scopes, createdAt, expiresAt, lastUsedAt, previousUntil };
  }
}
