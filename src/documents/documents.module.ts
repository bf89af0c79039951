import { Module } from '@nestjs/common';
import type { Schema } from '../database/columns.js';
import { Document, DocumentShare } from './document.entity.js';
import { DocumentOwners } from './document-owners.service.js';
import { DocumentsController } from './documents.controller.js';
import { DocumentsDemo } from './documents.demo.js';
import { DocumentsService } from './documents.service.js';
import { Documents1700000100000 } from './documents.migration.js';

export const documentsSchema: Schema = {
  entities: [Document, DocumentShare],
  migrations: [Documents1700000100000],
};

@Module({ controllers: [DocumentsController], providers: [DocumentsService, DocumentsDemo, DocumentOwners] })
export class DocumentsModule {}
