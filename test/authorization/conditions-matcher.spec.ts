import { describe, expect, it } from '@jest/globals';
import { assertTranslatable } from '../../src/authorization/sql/conditions-matcher.js';
import { Link, Thing, abilityOf, canRead, type Rule } from './things.js';

describe('assertTranslatable rejects', () => {
  it.each<[string, unknown, RegExp]>([
    ['undefined, which would match rows that lack the field', { tenant: undefined }, /"tenant" is undefined/],
    ['undefined inside an operator', { tenant: { $eq: undefined } }, /"tenant" is undefined/],
    ['undefined inside a list', { tenant: { $in: ['a', undefined] } }, /"tenant" is undefined/],
    ['undefined inside a relation', { links: { $elemMatch: { user: undefined } } }, /"user" is undefined/],
    ['null instead of conditions, which CASL treats as no conditions', null, /plain object/],
    ['an operator that SQL would evaluate differently', { nick: { $regex: '^a' } }, /\$regex on "nick"/],
    ['an unknown operator', { nick: { $like: 'a' } }, /\$like on "nick"/],
    ['an operator beside a key that is none', { nick: { $eq: 'a', b: 1 } }, /b on "nick"/],
    ['$or, which two rules replace', { $or: [{ tenant: 'a' }] }, /"\$or" is not a column/],
    ['a path into a relation', { 'links.user': 'u' }, /"links.user" is not a column/],
    [
      'a relation within a relation',
      { links: { $elemMatch: { a: { $elemMatch: {} } } } },
      /\$elemMatch on "a"/,
    ],
    ['$elemMatch on bare values', { tags: { $elemMatch: { $eq: 'a' } } }, /"\$eq" is not a column/],
    [
      'an order of strings, which databases collate differently',
      { nick: { $lt: 'b' } },
      /a number or a Date/,
    ],
    ['an order with null', { weight: { $lt: null } }, /a number or a Date/],
    ['an order of booleans', { open: { $gt: false } }, /a number or a Date/],
    ['a list operator with a string', { nick: { $in: 'abc' } }, /\$in on "nick"/],
    ['an empty condition', { nick: {} }, /"nick" is empty/],
    ['NaN', { size: Number.NaN }, /no database stores exactly/],
    ['an invalid Date', { at: new Date('?') }, /no database stores exactly/],
    [
      'a year that SQLite would sort wrongly as text',
      { at: { $lt: new Date('+010000-01-01') } },
      /no database stores exactly/,
    ],
    ['NUL, which PostgreSQL does not store', { nick: 'a\0' }, /no database stores exactly/],
    ['half of a surrogate pair', { nick: '\ud800' }, /no database stores exactly/],
    ['an array as a value', { tags: ['a'] }, /no string, number, boolean or Date/],
    ['an object with a prototype', { nick: new Map() }, /no string, number, boolean or Date/],
  ])('%s', (_, conditions, message) => {
    expect(() => assertTranslatable(conditions)).toThrow(message);
    const rule = { action: 'read', subject: Thing, conditions } as Rule;
    // An ability that the factory did not make throws the same error at its first check.
    if (conditions !== null) expect(() => abilityOf([rule]).can('read', new Thing())).toThrow(message);
  });

  it('accepts every supported operator', () => {
    const date = new Date(0);
    assertTranslatable(undefined);
    assertTranslatable({});
    assertTranslatable({ a: 'x', b: null, c: { $ne: null }, d: { $in: [1, null] }, e: { $nin: [] } });
    assertTranslatable({ a: { $gt: 1, $lte: 2 }, b: { $gte: date, $lt: date } });
    assertTranslatable({ a: { $elemMatch: { b: { $in: ['x'] }, c: { $gt: 1 } } }, d: { $elemMatch: {} } });
  });
});

describe('the matcher evaluates conditions as SQL does', () => {
  const thing = Object.assign(new Thing(), {
    id: 't',
    tenant: 'a',
    nick: null,
    size: 1,
    weight: null,
    at: new Date(1000),
    links: [],
  });
  const can = (conditions: object, row: object = thing) => abilityOf([canRead(conditions)]).can('read', row);

  it('null is neither less nor greater than a value', () => {
    expect(can({ weight: { $lt: 5 } })).toBe(false);
    expect(can({ weight: { $gte: -5 } })).toBe(false);
  });

  it('equality compares null like any other value', () => {
    expect(can({ nick: { $ne: 'x' } })).toBe(true);
    expect(can({ nick: { $nin: ['x'] } })).toBe(true);
    expect(can({ nick: { $in: ['x', null] } })).toBe(true);
    expect(can({ nick: { $ne: null } })).toBe(false);
  });

  it('Dates of the same time are equal', () => {
    expect(can({ at: new Date(1000) })).toBe(true);
    expect(can({ at: { $nin: [new Date(1000)] } })).toBe(false);
    expect(can({ at: { $lte: new Date(1000) } })).toBe(true);
  });

  it('rejects a string where the column holds a number', () => {
    expect(() => can({ size: '1' })).toThrow('another kind');
  });

  it('rejects a row whose column or relation was not loaded', () => {
    const { links: _, ...columns } = thing;
    const withoutLinks = Object.assign(new Thing(), columns);
    expect(() => can({ links: { $elemMatch: { user: 'u' } } }, withoutLinks)).toThrow('Load it first');
    expect(() => can({ open: true }, thing)).toThrow('Load it first');
  });

  it('one related row must match all conditions of $elemMatch', () => {
    const links = [
      Object.assign(new Link(), { user: 'u', level: 1 }),
      Object.assign(new Link(), { user: 'v', level: 2 }),
    ];
    const shared = Object.assign(new Thing(), thing, { links });
    expect(can({ links: { $elemMatch: { user: 'u', level: 1 } } }, shared)).toBe(true);
    expect(can({ links: { $elemMatch: { user: 'u', level: 2 } } }, shared)).toBe(false);
  });
});
