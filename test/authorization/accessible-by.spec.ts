import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { DataSource } from 'typeorm';
import { accessibleBy, onlyAccessible } from '../../src/authorization/sql/accessible-by.js';
import { accessiblePage, type KeysetPageRequest } from '../../src/authorization/sql/keyset-pages.js';
import type { AppAbility } from '../../src/authorization/app-ability.js';
import { FIELDS, rows as sampleRows, ruleLists } from './arbitrary-rules.js';
import { Link, Thing, abilityOf, cannotRead, insertThings, openThings, canRead } from './things.js';

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

describe('SQL and memory permit the same rows', () => {
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
        const up = await readAllPages(db, ability, {
          ...pages,
          ...filter,
          sort: { property: sort, direction: 'ASC' },
        });
        expect(up).toEqual(ids(listed));
        const down = await readAllPages(db, ability, {
          ...pages,
          ...filter,
          sort: { property: sort, direction: 'DESC' },
        });
        expect(down).toEqual(ids(listed).toReversed());

        mark += 1;
        const update = db.createQueryBuilder().update(Thing).set({ mark });
        const { affected } = await onlyAccessible(update, ability, 'read', Thing, [
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

describe('a query limited to the accessible rows', () => {
  let db: DataSource;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ db, close } = await openThings());
    await fill(db, sampleRows(1, ROWS));
  });
  afterAll(() => close());
  const onlyA = abilityOf([canRead({ tenant: 'a' })]);
  const things = () => db.createQueryBuilder(Thing, 'thing');

  it('finds nothing if no rule grants', async () => {
    expect(await accessibleBy(things(), abilityOf([]), 'read').getCount()).toBe(0);
    expect(await accessibleBy(things(), onlyA, 'delete').getCount()).toBe(0);
  });

  it('counts the rows that it lists', async () => {
    const [found, count] = await accessibleBy(things(), onlyA, 'read').take(1).getManyAndCount();
    expect(found).toHaveLength(1);
    expect(count).toBe(await things().where({ tenant: 'a' }).getCount());
  });

  it('cannot be widened by an OR, before or after', async () => {
    const before = things().where('thing.tenant = :b', { b: 'b' }).orWhere('1 = 1');
    expect(tenants(await accessibleBy(before, onlyA, 'read').getMany())).toEqual(['a']);
    const after = accessibleBy(things(), onlyA, 'read').where('thing.size > 0').orWhere('1 = 1');
    expect(tenants(await after.getMany())).toEqual(['a']);
  });

  it('limited twice finds the intersection', async () => {
    const twice = accessibleBy(
      accessibleBy(things(), onlyA, 'read'),
      abilityOf([canRead({ open: true })]),
      'read',
    );
    const found = await twice.getMany();
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ tenant, open }) => tenant === 'a' && open)).toBe(true);
  });

  it('joins all related rows', async () => {
    const shared = abilityOf([canRead({ links: { $elemMatch: { user: 'u' } } })]);
    const query = things().leftJoinAndSelect('thing.links', 'links');
    const found = await accessibleBy(query, shared, 'read').getMany();
    expect(found.length).toBeGreaterThan(0);
    for (const { links } of found) expect(links.map(({ user }) => user)).toContain('u');
    expect(found.some(({ links }) => links.some(({ user }) => user !== 'u'))).toBe(true);
  });

  it('has no value in its text', () => {
    const ability = abilityOf([canRead({ nick: "x' OR 1=1 --", size: 12_345, at: new Date(0), open: true })]);
    const [sql, parameters] = accessibleBy(things(), ability, 'read').getQueryAndParameters();
    expect(sql).not.toMatch(/OR 1=1|12345|1970|true/);
    expect(parameters).toHaveLength(4);
  });

  it.each<[string, object, RegExp]>([
    ['a column that the entity lacks', { colour: 'red' }, /Thing has no column "colour"/],
    ['a relation as a column', { links: 'u' }, /Thing has no column "links"/],
    ['a column as a relation', { nick: { $elemMatch: {} } }, /no to-many relation "nick"/],
    ['a string for a number, which SQLite would convert', { size: '1' }, /"size", which holds a number/],
    ['a number for a string', { nick: 1 }, /"nick", which holds a string/],
    ['a fraction for an integer, which PostgreSQL would reject', { size: { $lt: 1.5 } }, /"size"/],
    ['a number that the column cannot hold', { size: { $lt: 2 ** 31 } }, /"size"/],
    ['a column of JSON', { tags: 'x' }, /Conditions do not support the column Thing.tags/],
  ])('rejects a rule with %s', (_, conditions, message) => {
    expect(() => accessibleBy(things(), abilityOf([canRead(conditions)]), 'read')).toThrow(message);
  });

  it('deletes the accessible rows and no other', async () => {
    await db.createQueryBuilder().delete().from(Link).execute();
    const before = await things().getCount();
    const mine = await things().where({ tenant: 'a', open: true }).getCount();
    const ability = abilityOf([canRead({ tenant: 'a' }), cannotRead({ open: false })]);
    const remove = db.createQueryBuilder().delete().from(Thing).where('1 = 1').orWhere({ tenant: 'b' });
    const { affected } = await onlyAccessible(remove, ability, 'read', Thing).execute();
    expect(affected).toBe(mine);
    expect(await things().getCount()).toBe(before - mine);
  });

  it('rejects a statement about another entity', () => {
    const update = db.createQueryBuilder().update(Link).set({ level: 1 });
    expect(() => onlyAccessible(update as never, onlyA, 'read', Thing)).toThrow('is about Link, not Thing');
  });
});

async function fill(db: DataSource, rows: Thing[]): Promise<void> {
  await db.createQueryBuilder().delete().from(Link).execute();
  await db.createQueryBuilder().delete().from(Thing).execute();
  await insertThings(db, rows);
}

/** Reads all pages. Only the last one may be short. */
async function readAllPages(
  db: DataSource,
  ability: AppAbility,
  request: KeysetPageRequest<Thing>,
): Promise<string[]> {
  const seen: string[] = [];
  let after: KeysetPageRequest<Thing>['after'];
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
const tenants = (found: readonly Thing[]) => [...new Set(found.map(({ tenant }) => tenant))].sort();
