import type { INestApplication } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { CLASSIFICATIONS, Document, STATUSES } from '../../src/documents/document.entity.js';

/** How many rows one INSERT takes: SQLite allows 32,766 parameters. */
const CHUNK = 2_000;

/**
 * So many documents of `acme`. One in ten is bob's, as are one in ten of his statuses drafts: he reads his own by one
 * rule and what is published by another.
 */
export async function seedDocuments(app: INestApplication, count: number): Promise<void> {
  const start = Date.UTC(2026, 0, 1);
  const row = (i: number) => ({
    id: `bench-${i}`,
    tenantId: 'acme',
    ownerId: i % 10 === 0 ? 'bob' : 'alice',
    title: `document ${i}`,
    body: 'What was written.',
    notes: '',
    status: STATUSES[i % STATUSES.length],
    classification: CLASSIFICATIONS[i % CLASSIFICATIONS.length],
    version: 1,
    createdAt: new Date(start + i * 1000),
    updatedAt: new Date(start + i * 1000),
  });
  for (let from = 0; from < count; from += CHUNK)
    await app.get(DataSource).transaction(async (manager) => {
      const rows = Array.from({ length: Math.min(CHUNK, count - from) }, (_, i) => row(from + i));
      await manager.createQueryBuilder().insert().into(Document).values(rows).updateEntity(false).execute();
    });
}
