import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../authentication/ports.js';
import { CLASSIFICATIONS, Document, DocumentShare, STATUSES } from './document.entity.js';

/** For each writer of the demo, one document of every status and classification. Its id has the form `bob-draft-internal`. */
const DEMO_DOCUMENTS = [
  { tenantId: 'acme', ownerId: 'alice' },
  { tenantId: 'acme', ownerId: 'bob' },
  { tenantId: 'globex', ownerId: 'mallory' },
].flatMap(({ tenantId, ownerId }, writer) =>
  STATUSES.flatMap((status, s) =>
    CLASSIFICATIONS.map((classification, c): Partial<Document> => {
      // One minute apart and in the past, so that every demo has the same pages.
      const createdAt = new Date(Date.UTC(2026, 0, 1, 9, writer * 12 + s * 4 + c));
      return {
        id: `${ownerId}-${status}-${classification}`,
        tenantId,
        ownerId,
        title: `${ownerId}'s ${status} document (${classification})`,
        body: `What ${ownerId} wrote.`,
        notes: `What ${ownerId} thinks of it.`,
        status,
        classification,
        version: 1,
        createdAt,
        updatedAt: createdAt,
      };
    }),
  ),
);

@Injectable()
export class DocumentsDemo implements OnApplicationBootstrap {
  constructor(private readonly demo: DemoPort) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('documents', async (manager: EntityManager) => {
      await manager.insert(Document, DEMO_DOCUMENTS);
      await manager.insert(DocumentShare, [
        { documentId: 'alice-draft-confidential', userId: 'bob', level: 'update' },
        { documentId: 'alice-draft-internal', userId: 'carol', level: 'read' },
        { documentId: 'bob-draft-internal', userId: 'carol', level: 'update' },
      ]);
    });
  }
}
