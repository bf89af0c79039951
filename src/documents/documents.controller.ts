import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Res,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { PAGE_PARAMETERS } from '../authorization/sql/cursor.js';
import { Ability, Can } from '../authorization/can.guard.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { Describe, Tag, text } from '../authentication/describe.js';
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import { CLASSIFICATIONS, Document, SHARE_LEVELS, STATUSES } from './document.entity.js';
import { DocumentsService } from './documents.service.js';
import { checkIfNoneMatch, etagOf } from '../http/preconditions.js';
import { DocumentPage, DocumentView, WrittenDocumentView, documentView } from './document-view.js';

/** All together fit into a body of 256 KiB, also if JSON escapes each character in 12 bytes. */
const fields = {
  title: text(200, 1).regex(/\S/).trim(),
  body: text(16_000),
  notes: text(4_000),
  status: z.enum(STATUSES),
  classification: z.enum(CLASSIFICATIONS),
};
const NewDocument = z
  .strictObject(fields)
  .partial()
  .required({ title: true })
  .meta({
    id: 'DocumentRequest',
    example: { title: 'Minutes', body: 'We met.', classification: 'internal' },
  });
const Changes = z
  .strictObject(fields)
  .partial()
  .refine((changes) => Object.keys(changes).length > 0, 'must change something')
  .meta({ id: 'DocumentChanges', minProperties: 1, example: { title: 'Minutes of May' } });
const Share = z
  .strictObject({ level: z.enum(SHARE_LEVELS) })
  .meta({ id: 'ShareRequest', example: { level: 'read' } });

export const ListQuery = z.strictObject({
  ...PAGE_PARAMETERS,
  sort: z.enum(['createdAt', '-createdAt', 'title', '-title']).default('-createdAt'),
  status: z.enum(STATUSES).optional(),
  classification: z.enum(CLASSIFICATIONS).optional(),
  ownerId: text(36, 1).optional(),
});

/** The errors of new values: see `assertFieldsWritable`. */
const WRITE_ERRORS = ['422 field_not_permitted'] as const;
const SHARE_ERRORS = ['409 too_many_shares', '422 unknown_user', '422 field_not_permitted'] as const;

@Controller('documents')
@Tag('Documents', 'The sample resource: rules, pages, shares and preconditions.')
export class DocumentsController {
  constructor(
    private readonly documents: DocumentsService,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get()
  @Can('read', Document)
  @Describe('List documents', { response: DocumentPage })
  async listDocuments(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Query({ schema: ListQuery }) query: z.output<typeof ListQuery>,
  ) {
    const { documents, nextCursor } = await this.documents.list(caller, ability, query);
    return { items: documents.map((document) => documentView(document, ability)), nextCursor };
  }

  @Post()
  @Can('create', Document)
  @Describe('Create a document', {
    response: WrittenDocumentView,
    headers: ['ETag', 'Location'],
    errors: WRITE_ERRORS,
  })
  async createDocument(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Body({ schema: NewDocument }) input: z.output<typeof NewDocument>,
    @Res({ passthrough: true }) response: unknown,
  ) {
    const document = await this.documents.create(caller, ability, input);
    this.host.httpAdapter.setHeader(response, 'Location', `/documents/${document.id}`);
    return this.respond(document, ability, response);
  }

  @Get(':id')
  @Can('read', Document)
  @Describe('Read a document', { response: DocumentView, headers: ['ETag'] })
  async readDocument(
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res({ passthrough: true }) response: unknown,
  ) {
    const document = await this.documents.find(ability, id);
    const view = this.respond(document, ability, response);
    checkIfNoneMatch(ifNoneMatch, document);
    return view;
  }

  @Patch(':id')
  @Can('update', Document)
  @Describe('Change a document', { response: WrittenDocumentView, headers: ['ETag'], errors: WRITE_ERRORS })
  async updateDocument(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Headers('if-match') ifMatch: string | undefined,
    @Body({ schema: Changes }) changes: z.output<typeof Changes>,
    @Res({ passthrough: true }) response: unknown,
  ) {
    return this.respond(
      await this.documents.update(caller, ability, id, ifMatch, changes),
      ability,
      response,
    );
  }

  @Delete(':id')
  @HttpCode(204)
  @Can('delete', Document)
  @Describe('Delete a document')
  async deleteDocument(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    await this.documents.delete(caller, ability, id, ifMatch);
  }

  @Put(':id/shares/:userId')
  @Can('update', Document)
  @Describe('Share a document with a user', {
    response: WrittenDocumentView,
    headers: ['ETag'],
    errors: SHARE_ERRORS,
  })
  async shareDocument(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Param('userId') userId: string,
    @Headers('if-match') ifMatch: string | undefined,
    @Body({ schema: Share }) { level }: z.output<typeof Share>,
    @Res({ passthrough: true }) response: unknown,
  ) {
    return this.respond(
      await this.documents.share(caller, ability, id, ifMatch, userId, level),
      ability,
      response,
    );
  }

  @Delete(':id/shares/:userId')
  @Can('update', Document)
  @Describe('End sharing a document with a user', {
    response: WrittenDocumentView,
    headers: ['ETag'],
    errors: WRITE_ERRORS,
  })
  async unshareDocument(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Param('userId') userId: string,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: unknown,
  ) {
    return this.respond(
      await this.documents.unshare(caller, ability, id, ifMatch, userId),
      ability,
      response,
    );
  }

  private respond(document: Document, ability: AppAbility, response: unknown) {
    this.host.httpAdapter.setHeader(response, 'ETag', etagOf(document));
    return documentView(document, ability);
  }
}
