import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DataSource } from 'typeorm';
import {
  accessibleBy,
  accessiblePage,
  whereAccessible,
  type AppAbility,
  type PageRequest,
} from '../../src/access/index.js';
import { FIELDS, rows as sampleRows, ruleLists } from './arbitrary-rules.js';
import { Link, Thing, abilityOf, openThings } from './things.js';

/** Batches of rows, and generated lists of rules for each: 2,400 cases a run. */
const BATCHES = [1, 2, 3, 4, 5, 6, 7, 8];
const CASES = 300;
const ROWS = 24;

const cases = fc.record({
  rules: ruleLists,
  field: fc.option(fc.constantFrom(...FIELDS), { nil: undefined }),
  sort: fc.constantFrom('size', 'at', 'tenant'),
  open: fc.option(fc.boolean(), { nil: undefined, freq: 3 }),
  limit: fc.integer({ min: 3, max: 9 }),
});

describe('SQL and memory give the same answer to every rule', () => {
  let db: DataSource;
  let close: () => Promise<void>;
  beforeAll(async () => ({ db, close } = await openThings()));
  afterAll(() => close());

  it.each(BATCHES)('for generated rules on batch %i of generated rows', async (batch) => {
    await fill(db, sampleRows(batch, ROWS));
    const rows = await db.manager.find(Thing, { relations: { links: true }, order: { id: 'ASC' } });
    let mark = 0;

    await fc.assert(
      fc.asyncProperty(cases, async ({ rules, field, sort, open, limit }) => {
        const ability = abilityOf(rules);
        const can = (...fields: (string | undefined)[]) =>
          rows.filter((row) => fields.every((each) => ability.can('read', row, each)));

        const query = db.createQueryBuilder(Thing, 'thing');
        const found = await accessibleBy(query, ability, 'read', field).getMany();
        expect(ids(found).sort()).toEqual(ids(can(field)));

        const pages = { action: 'read' as const, limit, ...(field && { fields: [field] }) };
        const filter = open === undefined ? {} : { where: { open } };
        const listed = can(field, sort, ...Object.keys(filter.where ?? {}))
          .filter((row) => open === undefined || row.open === open)
          .sort((a, b) => order(a[sort], b[sort]) || order(a.id, b.id));
        const up = await walk(db, ability, {
          ...pages,
          ...filter,
          sort: { property: sort, direction: 'ASC' },
        });
        expect(up).toEqual(ids(listed));
        const down = await walk(db, ability, {
          ...pages,
          ...filter,
          sort: { property: sort, direction: 'DESC' },
        });
        expect(down).toEqual(ids(listed).reverse());

        mark += 1;
        const update = db.createQueryBuilder().update(Thing).set({ mark });
        const { affected } = await whereAccessible(update, ability, 'read', Thing, [
          sort,
          field ?? sort,
        ]).execute();
        const marked = await db.manager.findBy(Thing, { mark });
        expect(ids(marked).sort()).toEqual(ids(can(sort, field ?? sort)));
        expect(affected).toBe(marked.length);
      }),
      { numRuns: CASES, seed: batch },
    );
  });
});

async function fill(db: DataSource, rows: Thing[]): Promise<void> {
  await db.createQueryBuilder().delete().from(Link).execute();
  await db.createQueryBuilder().delete().from(Thing).execute();
  await db.manager.insert(
    Thing,
    rows.map(({ links: _, ...row }) => row),
  );
  await db.manager.insert(
    Link,
    rows.flatMap((row) => row.links),
  );
}

/** All pages, one after the other, and a check that only the last one may be short. */
async function walk(db: DataSource, ability: AppAbility, request: PageRequest<Thing>): Promise<string[]> {
  const seen: string[] = [];
  let after: PageRequest<Thing>['after'];
  do {
    const page = await accessiblePage(db.manager, Thing, ability, { ...request, after });
    if (page.next) expect(page.rows).toHaveLength(request.limit);
    seen.push(...ids(page.rows));
    after = page.next;
  } while (after);
  return seen;
}

const ids = (rows: readonly { id: string }[]) => rows.map((row) => row.id);
const order = <T extends string | number | Date>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0);
