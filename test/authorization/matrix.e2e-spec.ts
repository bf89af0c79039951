import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Document, DocumentShare } from '../../src/documents/document.entity.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';
import { DIMENSIONS, PROOFS, decide, matrixTable, type Cell, type Outcome } from './authorization.matrix.js';

/** Every combination of the dimensions. A document to create always belongs to the caller. */
function cells(action: Cell['action'], role: Cell['role']): Cell[] {
  const documents = action === 'create' ? (['own'] as const) : DIMENSIONS.document;
  return DIMENSIONS.proof.flatMap((proof) =>
    documents.flatMap((document) =>
      DIMENSIONS.status.flatMap((status) =>
        DIMENSIONS.classification.map((classification) => ({
          action,
          role,
          proof,
          document,
          status,
          classification,
        })),
      ),
    ),
  );
}

const OWNERS = { own: ['acme', 'bob'], "other tenant's": ['globex', 'mallory'] } as const;

function rowOf(cell: Cell): Document {
  const [tenantId, ownerId] = cell.document in OWNERS ? OWNERS[cell.document as 'own'] : ['acme', 'alice'];
  const now = new Date();
  return Object.assign(new Document(), {
    id: randomUUID(),
    tenantId,
    ownerId,
    title: 'before',
    body: 'before',
    notes: 'before',
    status: cell.status,
    classification: cell.classification,
    version: 1,
    createdAt: now,
    updatedAt: now,
  });
}

describe('the authorization matrix', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  const caller = ({ role, proof }: Pick<Cell, 'role' | 'proof'>) =>
    client(booted.origin, as({ id: 'bob', roles: [role], proofs: [PROOFS[proof](Date.now())] }));

  function sendRequest(cell: Cell, { id }: Document): Promise<TestResponse> {
    const bob = caller(cell);
    const path = `/documents/${id}`;
    const headers = { 'If-Match': '"1"' };
    const patch = (body: object) => bob.send('PATCH', path, { body, headers });
    switch (cell.action) {
      case 'create': {
        const { status, classification } = cell;
        return bob.post('/documents', { title: 'new', status, classification });
      }
      case 'read':
        return bob.get(path);
      case 'update':
        return patch({ title: 'after' });
      case 'publish':
        return patch({ status: 'published' });
      case 'classify':
        return patch({ classification: 'confidential' });
      case 'share':
        return bob.send('PUT', `${path}/shares/carol`, { body: { level: 'read' }, headers });
      case 'delete':
        return bob.send('DELETE', path, { headers });
    }
  }

  function outcomeOf({ action }: Cell, { status, body }: TestResponse): Outcome {
    if (status >= 300) return status as Outcome;
    if (action !== 'read') return 'allowed';
    const without = ['body', 'notes', 'shares'].filter((field) => !(field in body));
    return (without.length ? `allowed, without ${without.join(', ')}` : 'allowed') as Outcome;
  }

  for (const role of DIMENSIONS.role)
    for (const action of DIMENSIONS.action)
      it(`${role}: ${action}`, async () => {
        const all = cells(action, role).map((cell) => ({ cell, row: rowOf(cell) }));
        if (action !== 'create') {
          await booted.db.manager.insert(
            Document,
            all.map(({ row }) => ({ ...row })),
          );
          const shares = all.flatMap(({ cell, row }) => {
            const [, level] = /^shared to (\w+)$/.exec(cell.document) ?? [];
            return level
              ? [{ documentId: row.id, userId: 'bob', level: level as DocumentShare['level'] }]
              : [];
          });
          await booted.db.manager.insert(DocumentShare, shares);
        }
        const wrong: string[] = [];
        const check = async ({ cell, row }: (typeof all)[number]) => {
          const expected = decide(cell);
          const outcome = outcomeOf(cell, await sendRequest(cell, row));
          const values = Object.values(cell).join(' / ');
          if (outcome !== expected.outcome)
            wrong.push(`${values}: ${outcome}, not ${expected.outcome} (${expected.because})`);
          if (action === 'create' || outcome === 'allowed') return;
          const after = await booted.db.manager.findOneBy(Document, { id: row.id });
          if (after?.version !== 1 || after.title !== 'before') wrong.push(`${values}: denied, but written`);
        };
        for (let i = 0; i < all.length; i += 25) await Promise.all(all.slice(i, i + 25).map(check));
        expect(wrong).toEqual([]);
      });

  it('gives the same responses with every method', async () => {
    const bob = { id: 'bob', roles: ['editor'], scopes: ['documents:read', 'documents:write'] } as const;
    for (const { name, issue, bound = false } of await allContracts()) {
      const credential = await issue(booted, 'bob');
      const call = async (path: string, init?: RequestInit) => {
        const response = await send(credential, booted.origin + path, init);
        return { status: response.status, body: await response.json() };
      };
      const proof = { method: 'test' as const, at: new Date(), amr: [], bound };
      const { body } = await client(booted.origin, as({ ...bob, proofs: [proof] })).get(
        '/documents?limit=100',
      );
      expect([name, (await call('/documents?limit=100')).body.items]).toEqual([name, body.items]);
      expect((await call('/documents/alice-draft-internal')).status).toBe(404);
      const change = {
        method: 'PATCH',
        body: '{"title":"x"}',
        headers: { 'Content-Type': 'application/json' },
      };
      expect(await call('/documents/alice-published-internal', change)).toMatchObject({
        status: 403,
        body: { code: 'forbidden' },
      });
    }
  });

  it('is the table of the documentation', async () => {
    expect(await readFile('docs/reference/policy.md', 'utf8')).toContain(matrixTable());
  });
});
