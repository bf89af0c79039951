import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { accessiblePage, type KeysetPageRequest } from '../../src/authorization/sql/keyset-pages.js';
import { isPostgres } from '../../src/database/columns.js';
import { rows } from './arbitrary-rules.js';
import {
  Link,
  Thing,
  abilityOf,
  cannotRead,
  insertThings,
  openThings,
  canRead,
  type Rule,
} from './things.js';
const newest = { action: 'read', sort: { property: 'at', direction: 'DESC' }, limit: 10 } as const;

describe('a page', () => {
  let db: DataSource;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ db, close } = await openThings());
    await insertThings(db, rows(7, 3000));
    // PostgreSQL plans by statistics. SQLite plans without them, as in the application.
    for (const table of isPostgres(db) ? [Thing, Link] : [])
      await db.query(`ANALYZE ${db.getMetadata(table).tablePath}`);
  });
  afterAll(() => close());

  const page = (rules: Rule[], request: Partial<KeysetPageRequest<Thing>> = {}) =>
    accessiblePage(db.manager, Thing, abilityOf(rules), { ...newest, ...request });

  /** The query plan of a page's one statement. */
  async function planOf(...request: Parameters<typeof page>): Promise<Record<string, string>[]> {
    const log = jest.spyOn(db.logger, 'logQuery');
    await page(...request);
    const statements = log.mock.calls.map(([sql, parameters]) => [sql, parameters] as const);
    log.mockRestore();
    expect(statements).toHaveLength(1);
    const [[sql, values]] = statements as [(typeof statements)[number]];
    return db.query(`${isPostgres(db) ? 'EXPLAIN' : 'EXPLAIN QUERY PLAN'} ${sql}`, values);
  }

  it('reads one range of one index per rule', async () => {
    const after = (await page([canRead()])).next;
    const plan = await planOf(
      [
        canRead({ tenant: 'a', open: true }),
        canRead({ tenant: 'b' }),
        canRead({ tenant: 'b', links: { $elemMatch: { user: 'u' } } }),
        cannotRead({ links: { $elemMatch: { user: 'v' } } }),
      ],
      { after },
    );
    const text = plan.map((line) => line['QUERY PLAN'] ?? '');
    if (isPostgres(db)) {
      expect(text.filter((line) => /Index.* Scan Backward using .* on things entry/.test(line))).toHaveLength(
        2,
      );
      return;
    }
    const searches = plan.filter(
      ({ detail, parent }) => detail?.includes(' entry ') && String(parent) !== '0',
    );
    const driven = searches.filter(({ parent }) =>
      plan.some((each) => each['parent'] === parent && each['detail'] === 'SCAN driver'),
    );
    expect(driven.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^SEARCH entry .* \(id=\?\)$/),
    ]);
    const direct = searches.filter((search) => !driven.includes(search));
    expect(direct).toHaveLength(2);
    for (const { parent, detail } of direct) {
      expect(detail).toMatch(/^SEARCH entry .*\(tenant=\? AND \(at,id\)<\(\?,\?\)\)$/);
      const beside = plan.filter((each) => each['parent'] === parent).map((each) => each['detail']);
      expect(beside).not.toContain('USE TEMP B-TREE FOR ORDER BY');
    }
  });

  it('loads the rows by their ids, not by the indexes of the rules', async () => {
    const plan = await planOf([canRead({ tenant: 'a' })], {
      sort: { property: 'size', direction: 'ASC' },
      relations: ['links'],
    });
    const lines = plan.map((line) => line['detail'] ?? line['QUERY PLAN'] ?? '');
    const scans = lines.filter((line) => /(SEARCH|SCAN) loaded|on things loaded/.test(line.trim()));
    expect(scans).toEqual([expect.stringMatching(isPostgres(db) ? /Index Scan using "PK_/ : /\(id=\?\)$/)]);
  });

  it('sends no query if no rule grants', async () => {
    const query = jest.spyOn(db.manager, 'query');
    expect(await page([])).toEqual({ rows: [] });
    expect(await page([canRead(), cannotRead()])).toEqual({ rows: [] });
    expect(query).not.toHaveBeenCalled();
    query.mockRestore();
  });

  it('lists a row once if two rules grant it and two related rows match', async () => {
    const both = [
      canRead({ tenant: 'a' }),
      canRead({ links: { $elemMatch: { user: { $in: ['u', 'v'] } } } }),
    ];
    const { rows: found } = await page(both, { limit: 500 });
    expect(new Set(found.map(({ id }) => id)).size).toBe(500);
  });

  it('has a next position only if there is a next page', async () => {
    const first = await page([canRead({ tenant: 'a' })], { limit: 2999 });
    expect(first.next).toBeUndefined();
    const exact = await page([canRead({ tenant: 'a' })], { limit: first.rows.length });
    expect(exact.rows).toHaveLength(first.rows.length);
    expect(exact.next).toBeUndefined();
    const oneShort = await page([canRead({ tenant: 'a' })], { limit: first.rows.length - 1 });
    expect(oneShort.next?.id).toBe(first.rows.at(-2)?.id);
  });

  it('loads the requested relations with each row', async () => {
    const { rows: found } = await page([canRead()], { relations: ['links'], limit: 50 });
    expect(found.flatMap(({ links }) => links).every((link) => link instanceof Link)).toBe(true);
    expect((await page([canRead()])).rows[0]?.links).toBeUndefined();
  });

  it('leaves out rows whose sorted or filtered field the caller may not read', async () => {
    const some: Rule[] = [
      canRead(),
      { ...canRead({ tenant: 'a' }), fields: ['nick', 'size'], inverted: true },
    ];
    const tenants = async (request: Partial<KeysetPageRequest<Thing>>) =>
      new Set((await page(some, { limit: 3000, ...request })).rows.map(({ tenant }) => tenant));
    expect(await tenants({})).toContain('a');
    expect(await tenants({ where: { nick: '1' } })).not.toContain('a');
    expect(await tenants({ sort: { property: 'size', direction: 'ASC' } })).not.toContain('a');
  });

  it('loses no row to times finer than a Date', async () => {
    if (!isPostgres(db)) return;
    await db.transaction(async (manager) => {
      await manager.query(
        `UPDATE ${db.getMetadata(Thing).tablePath} SET at = at + substr(id, 3)::int * interval '1 us'`,
      );
      const seen = new Set<string>();
      let after: KeysetPageRequest<Thing>['after'];
      do {
        const found = await accessiblePage(manager, Thing, abilityOf([canRead()]), {
          ...newest,
          limit: 700,
          after,
        });
        for (const { id } of found.rows) seen.add(id);
        after = found.next;
      } while (after);
      expect(seen.size).toBe(3000);
    });
  });

  it('rejects a sort column with nulls or of an unsupported type', async () => {
    await expect(page([canRead()], { sort: { property: 'weight', direction: 'ASC' } })).rejects.toThrow(
      'has nulls',
    );
    await expect(page([canRead()], { sort: { property: 'tags', direction: 'ASC' } })).rejects.toThrow(
      'do not support the column',
    );
    await expect(page([canRead()], { sort: { property: 'links', direction: 'ASC' } })).rejects.toThrow(
      'has no column "links"',
    );
  });
});
