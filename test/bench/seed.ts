import type { INestApplication } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { CLASSIFICATIONS, Document, STATUSES } from '../../src/documents/document.entity.js';

/** SQLite allows 32,766 parameters in one statement. */
const ROWS_PER_INSERT = 2_000;

/** Adds documents to the tenant `acme`. Every tenth belongs to bob, who may read the others that are published. */
export async function seedDocuments(app: INestApplication, count: number): Promise<void> {
  const start = Date.UTC(2026, 0, 1);
  const row = (i: number) => ({
    id: `bench-${i}`,
    tenantId: 'acme',
    ownerId: i % 10 === 0 ? 'bob' : 'alice',
    title: `document ${i}`,
    body: 'Text.',
    notes: '',
    status: STATUSES[i % STATUSES.length],
    classification: CLASSIFICATIONS[i % CLASSIFICATIONS.length],
    version: 1,
    createdAt: new Date(start + i * 1000),
    updatedAt: new Date(start + i * 1000),
  });
  for (let from = 0; from < count; from += ROWS_PER_INSERT)
    await app.get(DataSource).transaction(async (manager) => {
      const rows = Array.from({ length: Math.min(ROWS_PER_INSERT, count - from) }, (_, i) => row(from + i));
      await manager.createQueryBuilder().insert().into(Document).values(rows).updateEntity(false).execute();
    });
}
