import * as fc from 'fast-check';
import { Link, Thing, type Rule } from './things.js';

/** Few values each, so that rules match rows. Some of them break SQL that is not escaped. */
const TENANTS = ['a', 'b', "o'c"];
const NICKS = ['a', 'A', "x' OR 1=1 --", '', 'é', '1'];
const SIZES = [-2, -1, 0, 1, 2, 3];
const WEIGHTS = [-0.5, 0, 0.1, 1, 1e10];
const DATES = [
  '2024-01-01T00:00:00.000Z',
  '2024-01-01T00:00:00.001Z',
  '2023-12-31T23:59:59.999Z',
  '0999-06-01T12:00:00Z',
];
const USERS = ['u', 'v'];

const tenant = fc.constantFrom(...TENANTS);
const nick = fc.option(fc.constantFrom(...NICKS));
const size = fc.constantFrom(...SIZES);
const weight = fc.option(fc.constantFrom(...WEIGHTS));
// A new Date each time, so that equal dates are different objects.
const at = fc.constantFrom(...DATES).map((text) => new Date(text));
const until = fc.option(at);
const level = fc.option(fc.constantFrom(0, 1, 2));

const link = fc.record({ user: fc.constantFrom(...USERS), level });
const row = fc.record({
  tenant,
  nick,
  size,
  weight,
  open: fc.boolean(),
  at,
  until,
  links: fc.array(link, { maxLength: 3 }),
});

export const rows = (seed: number, count: number): Thing[] => {
  let links = 0;
  return fc.sample(row, { seed, numRuns: count }).map((values, index) => {
    // The order of the ids is not the order of insertion.
    const id = `t${String((index * 7) % count).padStart(4, '0')}`;
    return Object.assign(new Thing(), {
      ...values,
      id,
      mark: 0,
      tags: [],
      links: values.links.map((each) => Object.assign(new Link(), { ...each, id: links++, thingId: id })),
    });
  });
};

/** A record with a prototype, because conditions must be plain objects. */
const plain = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(shape, { noNullPrototype: true });

const equality = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof(
    value,
    plain({ $eq: value }),
    plain({ $ne: value }),
    plain({ $in: fc.array(value, { maxLength: 3 }) }),
    plain({ $nin: fc.array(value, { maxLength: 3 }) }),
    plain({ $ne: value, $nin: fc.array(value, { maxLength: 2 }) }),
  );
const order = <T>(value: fc.Arbitrary<T | null>) => {
  const present = value.filter((each) => each !== null);
  return fc.oneof(
    equality(value),
    plain({ $lt: present }),
    plain({ $lte: present }),
    plain({ $gt: present }),
    plain({ $gte: present }),
    plain({ $gte: present, $lt: present }),
    plain({ $lte: present, $ne: value }),
  );
};

const related = fc.record(
  { user: equality(fc.constantFrom(...USERS)), level: order(level) },
  { requiredKeys: [], noNullPrototype: true },
);
const conditions = {
  tenant: equality(tenant),
  nick: equality(nick),
  size: order(size),
  weight: order(weight),
  open: equality(fc.boolean()),
  at: order(at),
  until: order(until),
  links: plain({ $elemMatch: related }),
};
type Conditions = Partial<typeof conditions>;

/** Mostly one or two conditions, because a rule with many matches hardly any row. Sometimes none, which matches all. */
const someConditions = fc
  .oneof(
    { weight: 12, arbitrary: fc.integer({ min: 1, max: 2 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 4) },
  )
  .chain((count) => fc.subarray(Object.keys(conditions), { minLength: count, maxLength: count }))
  .chain((keys) =>
    plain(Object.fromEntries(Object.entries(conditions).filter(([key]) => keys.includes(key))) as Conditions),
  );

export const FIELDS = ['tenant', 'nick', 'size', 'at'] as const;

const rule: fc.Arbitrary<Rule> = fc
  .record({
    inverted: fc.constantFrom(false, false, true),
    fields: fc.option(fc.subarray([...FIELDS], { minLength: 1 }), { freq: 2 }),
    conditions: fc.option(someConditions, { freq: 15 }),
  })
  .map(({ inverted, fields, conditions: held }) => ({
    action: 'read',
    subject: Thing,
    inverted,
    ...(fields && { fields }),
    ...(held && { conditions: held }),
  }));

/** Grants and prohibitions in any order. The last matching rule wins. */
export const ruleLists = fc.array(rule, { minLength: 1, maxLength: 7, size: 'max' });
