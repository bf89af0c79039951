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
import { Describe, MANAGE_ERRORS, PrincipalView, listOf } from '../../authentication/describe.js';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { GUESSABLE, isGuessable } from '../../config/secret-strength.js';
import { Settings } from '../../config/settings.js';
import {
  ACCOUNT_QUERY,
  ISSUE_ERRORS,
  NEW_CREDENTIAL_FIELDS,
  ROTATE_ERRORS,
  ROTATION_SCHEMA,
  SECRET_VIEW,
} from '../../users/credential.js';
import type { WebhookSource } from './webhook.entity.js';
import { WebhookInbox } from './webhook.inbox.service.js';
import { parseSecret } from './webhook.js';
import { WebhookService } from './webhook.service.js';

const secret = z
  .string()
  .max(100)
  .refine((text) => parseSecret(text) !== undefined, 'must be whsec_ and the base64 of 24 to 64 bytes')
  .refine((text) => !isGuessable(text.slice('whsec_'.length)), GUESSABLE)
  .meta({
    pattern: '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$',
    description: '`whsec_` and the base64 of 24 to 64 random bytes. The server checks more.',
  })
  .optional();
const NewSource = z
  .strictObject({ ...NEW_CREDENTIAL_FIELDS, secret })
  .meta({ id: 'WebhookSourceRequest', example: { name: 'payments' } });
const Rotation = z
  .strictObject({ ...ROTATION_SCHEMA.unwrap().shape, secret })
  .meta({ id: 'WebhookSourceRotation', example: { overlapSeconds: 3_600 } })
  .prefault({});

/** The payload of the standard. Other members are allowed, and the form of `data` depends on `type`. */
const Event = z
  .looseObject({
    type: z
      .string()
      .max(128)
      .regex(/^\w+(?:\.\w+)*$/, 'must be words separated by full stops, such as user.created'),
    timestamp: z.iso.datetime({ offset: true }),
    data: z.looseObject({}),
  })
  .meta({
    id: 'WebhookEvent',
    example: { type: 'user.created', timestamp: '2026-01-31T12:00:00Z', data: { id: '1' } },
  });

const Receipt = z
  .object({ id: z.string(), type: z.string(), duplicate: z.boolean() })
  .meta({ id: 'Receipt' });
const WebhookSourceView = z.object({ ...SECRET_VIEW, url: z.url() }).meta({ id: 'WebhookSource' });
const NewWebhookSourceView = WebhookSourceView.extend({ secret: z.string() }).meta({
  id: 'CreatedWebhookSource',
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
  @Describe('Show the caller, by webhook', { response: PrincipalView })
  @Authenticate('webhook')
  showWebhookCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** Receives the messages of one sender. The last path segment is the id of the source. */
  @Post('webhooks/:source')
  @Describe('Receive a message', { response: Receipt })
  @HttpCode(200)
  @Authenticate('webhook')
  async receiveWebhook(
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
  @Describe('Create a webhook source', { response: NewWebhookSourceView, errors: ISSUE_ERRORS })
  async createWebhookSource(
    @Caller() caller: Principal,
    @Body({ schema: NewSource }) source: z.output<typeof NewSource>,
  ) {
    const { row, secret } = await this.sources.issue(caller, source);
    return { ...this.toResponse(row), secret };
  }

  @Get('webhook-sources')
  @Describe('List webhook sources', { response: listOf(WebhookSourceView), errors: MANAGE_ERRORS })
  async listWebhookSources(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.sources.list(caller, accountId)).map((row) => this.toResponse(row)) };
  }

  @Post('webhook-sources/:id/rotate')
  @Describe('Rotate the secret of a webhook source', {
    response: NewWebhookSourceView,
    errors: ROTATE_ERRORS,
  })
  async rotateWebhookSource(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: Rotation }) rotation: z.output<typeof Rotation>,
  ) {
    const { row, secret } = await this.sources.rotate(caller, id, rotation.overlapSeconds, rotation.secret);
    return { ...this.toResponse(row), secret };
  }

  @Delete('webhook-sources/:id')
  @Describe('Revoke a webhook source', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeWebhookSource(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.sources.revoke(caller, id);
  }

  /** All of a source except its secrets. */
  private toResponse(row: WebhookSource) {
    return WebhookSourceView.parse({ ...row, url: `${this.settings.publicUrl}/webhooks/${row.id}` });
  }
}
