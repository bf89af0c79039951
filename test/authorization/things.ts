import { createMongoAbility, type RawRuleOf } from '@casl/ability';
import type { Type } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Column, DataSource, Entity, Index, JoinColumn, ManyToOne, OneToMany, PrimaryColumn } from 'typeorm';
import type { AppAbility } from '../../src/authorization/rules.js';
import { conditionsMatcher } from '../../src/authorization/sql/conditions.js';
import { DATE_COLUMN } from '../../src/database/columns.js';
import { sqliteDriver } from '../../src/database/sqlite-driver.js';

/** One column of every kind that rules can look at. */
@Entity('things')
@Index(['tenant', 'at', 'id'])
@Index(['tenant', 'size', 'id'])
export class Thing {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar' })
  tenant!: string;

  @Column({ type: 'varchar', nullable: true })
  nick!: string | null;

  @Column({ type: 'integer' })
  size!: number;

  @Column({ type: 'double precision', nullable: true })
  weight!: number | null;

  @Column({ type: 'boolean' })
  open!: boolean;

  @Column({ type: DATE_COLUMN })
  at!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  until!: Date | null;

  /** No rule looks at it: tests write it to see which rows an UPDATE reaches. */
  @Column({ type: 'integer', default: 0 })
  mark!: number;

  @Column({ type: 'simple-json' })
  tags!: string[];

  @OneToMany(() => Link, (link) => link.thing)
  links!: Link[];
}

@Entity('links')
@Index(['user', 'thingId'])
export class Link {
  @PrimaryColumn({ type: 'integer' })
  id!: number;

  /** Its column's name differs from the property's, so that a mix-up of the two shows. */
  @Column({ type: 'varchar', length: 36, name: 'thing_id' })
  thingId!: string;

  @ManyToOne(() => Thing, (thing) => thing.links)
  @JoinColumn({ name: 'thing_id' })
  thing?: Thing;

  @Column({ type: 'varchar' })
  user!: string;

  @Column({ type: 'integer', nullable: true })
  level!: number | null;
}

export type Rule = RawRuleOf<AppAbility>;

/** The rule that lets one read the things of which this holds; all of them, without conditions. */
export const read = (conditions?: object): Rule => ({
  action: 'read',
  subject: Thing,
  ...(conditions && { conditions }),
});
export const butNot = (conditions?: object): Rule => ({ ...read(conditions), inverted: true });

/** An ability as the factory makes it, but with the rules in this very order. */
export const abilityOf = (rules: Rule[]): AppAbility =>
  createMongoAbility<AppAbility>(rules, {
    conditionsMatcher,
    detectSubjectType: (subject) => subject.constructor as Type<object>,
  });

/** The tables of things, empty, in the database that `DATABASE_URL` names or in memory. */
export async function openThings(): Promise<{ db: DataSource; close: () => Promise<void> }> {
  const url = process.env['DATABASE_URL'];
  const entities = [Thing, Link];
  if (!url) {
    const db = await new DataSource({
      type: 'better-sqlite3',
      driver: sqliteDriver,
      database: ':memory:',
      entities,
    }).initialize();
    await db.synchronize();
    return { db, close: () => db.destroy() };
  }
  const schema = `things_${randomUUID().replaceAll('-', '')}`;
  const db = await new DataSource({ type: 'postgres', url, schema, entities }).initialize();
  await db.query(`CREATE SCHEMA ${schema}`);
  await db.synchronize();
  const close = async () => {
    await db.query(`DROP SCHEMA ${schema} CASCADE`);
    await db.destroy();
  };
  return { db, close };
}

export async function insertThings(db: DataSource, things: readonly Thing[]): Promise<void> {
  for (let start = 0; start < things.length; start += 500) {
    const some = things.slice(start, start + 500);
    await db.manager.insert(
      Thing,
      some.map((thing) => Object.assign(new Thing(), thing, { links: undefined })),
    );
    await db.manager.insert(
      Link,
      some.flatMap((thing) => thing.links),
    );
  }
}
