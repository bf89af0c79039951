import { describe, expect, it } from '@jest/globals';
import { assertTranslatable } from '../../src/authorization/sql/conditions.js';
import { Link, Thing, abilityOf, read, type Rule } from './things.js';

describe('a rule is refused when it is built', () => {
  it.each<[string, unknown, RegExp]>([
    ['undefined would match rows that lack the field', { tenant: undefined }, /"tenant" is undefined/],
    ['undefined inside an operator', { tenant: { $eq: undefined } }, /"tenant" is undefined/],
    ['undefined inside a list', { tenant: { $in: ['a', undefined] } }, /"tenant" is undefined/],
    ['undefined inside a relation', { links: { $elemMatch: { user: undefined } } }, /"user" is undefined/],
    ['null in place of conditions, which CASL takes for none', null, /plain object/],
    ['an operator that SQL would answer otherwise', { nick: { $regex: '^a' } }, /\$regex on "nick"/],
    ['an unknown operator', { nick: { $like: 'a' } }, /\$like on "nick"/],
    ['an operator beside a plain key', { nick: { $eq: 'a', b: 1 } }, /b on "nick"/],
    ['$or, which belongs into two rules', { $or: [{ tenant: 'a' }] }, /"\$or" is not a column/],
    ['a path into a relation', { 'links.user': 'u' }, /"links.user" is not a column/],
    [
      'a relation within a relation',
      { links: { $elemMatch: { a: { $elemMatch: {} } } } },
      /\$elemMatch on "a"/,
    ],
    ['$elemMatch on bare values', { tags: { $elemMatch: { $eq: 'a' } } }, /"\$eq" is not a column/],
    ['an order of texts, which databases collate differently', { nick: { $lt: 'b' } }, /a number or a Date/],
    ['an order with null', { weight: { $lt: null } }, /a number or a Date/],
    ['an order of booleans', { open: { $gt: false } }, /a number or a Date/],
    ['a list that is none', { nick: { $in: 'abc' } }, /\$in on "nick"/],
    ['an empty condition', { nick: {} }, /"nick" is empty/],
    ['NaN', { size: Number.NaN }, /no database would keep/],
    ['an invalid Date', { at: new Date('?') }, /no database would keep/],
    [
      'a year that SQLite would sort as text',
      { at: { $lt: new Date('+010000-01-01') } },
      /no database would keep/,
    ],
    ['NUL, which PostgreSQL does not keep', { nick: 'a\0' }, /no database would keep/],
    ['half a character', { nick: '\ud800' }, /no database would keep/],
    ['an array as a value', { tags: ['a'] }, /neither text/],
    ['an object with a prototype', { nick: new Map() }, /neither text/],
  ])('%s', (_, conditions, message) => {
    expect(() => assertTranslatable(conditions)).toThrow(message);
    const rule = { action: 'read', subject: Thing, conditions } as Rule;
    // Whoever makes an ability without the factory meets the same refusal, at the first question.
    if (conditions !== null) expect(() => abilityOf([rule]).can('read', new Thing())).toThrow(message);
  });

  it('takes every operator that it promises', () => {
    const moment = new Date(0);
    assertTranslatable(undefined);
    assertTranslatable({});
    assertTranslatable({ a: 'x', b: null, c: { $ne: null }, d: { $in: [1, null] }, e: { $nin: [] } });
    assertTranslatable({ a: { $gt: 1, $lte: 2 }, b: { $gte: moment, $lt: moment } });
    assertTranslatable({ a: { $elemMatch: { b: { $in: ['x'] }, c: { $gt: 1 } } }, d: { $elemMatch: {} } });
  });
});

describe('memory answers as SQL does', () => {
  const thing = Object.assign(new Thing(), {
    id: 't',
    tenant: 'a',
    nick: null,
    size: 1,
    weight: null,
    at: new Date(1000),
    links: [],
  });
  const can = (conditions: object, row: object = thing) => abilityOf([read(conditions)]).can('read', row);

  it('null is below nothing and above nothing', () => {
    expect(can({ weight: { $lt: 5 } })).toBe(false);
    expect(can({ weight: { $gte: -5 } })).toBe(false);
  });

  it('null is a value like others to equality', () => {
    expect(can({ nick: { $ne: 'x' } })).toBe(true);
    expect(can({ nick: { $nin: ['x'] } })).toBe(true);
    expect(can({ nick: { $in: ['x', null] } })).toBe(true);
    expect(can({ nick: { $ne: null } })).toBe(false);
  });

  it('two Dates of one moment are equal', () => {
    expect(can({ at: new Date(1000) })).toBe(true);
    expect(can({ at: { $nin: [new Date(1000)] } })).toBe(false);
    expect(can({ at: { $lte: new Date(1000) } })).toBe(true);
  });

  it('a text is never a number', () => {
    expect(() => can({ size: '1' })).toThrow('another kind');
  });

  it('a prohibition does not fall silent because a column or a relation was not loaded', () => {
    const { links: _, ...columns } = thing;
    const withoutLinks = Object.assign(new Thing(), columns);
    expect(() => can({ links: { $elemMatch: { user: 'u' } } }, withoutLinks)).toThrow('load it first');
    expect(() => can({ open: true }, thing)).toThrow('load it first');
  });

  it('one related row must match all of it', () => {
    const links = [
      Object.assign(new Link(), { user: 'u', level: 1 }),
      Object.assign(new Link(), { user: 'v', level: 2 }),
    ];
    const shared = Object.assign(new Thing(), thing, { links });
    expect(can({ links: { $elemMatch: { user: 'u', level: 1 } } }, shared)).toBe(true);
    expect(can({ links: { $elemMatch: { user: 'u', level: 2 } } }, shared)).toBe(false);
  });
});
