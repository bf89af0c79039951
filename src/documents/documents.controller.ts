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
import { Caller } from '../authentication/plan.js';
import type { Principal } from '../authentication/principal.js';
import { CLASSIFICATIONS, Document, SHARE_LEVELS, STATUSES } from './document.entity.js';
import { DocumentsService } from './documents.service.js';
import { checkIfNoneMatch, etagOf } from '../http/preconditions.js';
import { documentView } from './document-view.js';

const fields = {
  title: z.string().trim().min(1).max(200),
  body: z.string().max(100_000),
  notes: z.string().max(10_000),
  status: z.enum(STATUSES),
  classification: z.enum(CLASSIFICATIONS),
};
const NewDocument = z.strictObject(fields).partial().required({ title: true });
const Changes = z
  .strictObject(fields)
  .partial()
  .refine((changes) => Object.keys(changes).length > 0, 'must change something');
const Share = z.strictObject({ level: z.enum(SHARE_LEVELS) });

export const ListQuery = z.strictObject({
  ...PAGE_PARAMETERS,
  sort: z.enum(['createdAt', '-createdAt', 'title', '-title']).default('-createdAt'),
  status: z.enum(STATUSES).optional(),
  classification: z.enum(CLASSIFICATIONS).optional(),
  ownerId: z.string().min(1).max(36).optional(),
});

@Controller('documents')
export class DocumentsController {
  constructor(
    private readonly documents: DocumentsService,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get()
  @Can('read', Document)
  async list(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Query({ schema: ListQuery }) query: z.output<typeof ListQuery>,
  ) {
    const { documents, nextCursor } = await this.documents.list(caller, ability, query);
    return { items: documents.map((document) => documentView(document, ability)), nextCursor };
  }

  @Post()
  @Can('create', Document)
  async create(
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
  async read(
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
  async update(
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
  async delete(
    @Caller() caller: Principal,
    @Ability() ability: AppAbility,
    @Param('id') id: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    await this.documents.delete(caller, ability, id, ifMatch);
  }

  @Put(':id/shares/:userId')
  @Can('update', Document)
  async share(
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
  async unshare(
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
