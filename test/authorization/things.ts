import { randomUUID } from 'node:crypto';
import { Column, DataSource, Entity, Index, JoinColumn, ManyToOne, OneToMany, PrimaryColumn } from 'typeorm';
import { AppAbility, type PolicyRule as Rule } from '../../src/authorization/app-ability.js';
import { DATE_COLUMN } from '../../src/database/columns.js';

/** An entity with a column of every supported kind. */
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

  /** Tests write it to see which rows an UPDATE changes. No rule has a condition on it. */
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

  /** The column's name differs from the property's, so that confusing the two fails a test. */
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

export type { Rule };

/** A grant to read the things that match the conditions; without conditions, all of them. */
export const canRead = (conditions?: object): Rule => ({
  action: 'read',
  subject: Thing,
  ...(conditions && { conditions }),
});
export const cannotRead = (conditions?: object): Rule => ({ ...canRead(conditions), inverted: true });

/** An ability with the rules in this order. The factory would put the prohibitions last. */
export const abilityOf = (rules: Rule[]): AppAbility => new AppAbility(rules);

/** Creates the empty tables, in the database of `DATABASE_URL` or in memory. */
export async function openThings(): Promise<{ db: DataSource; close: () => Promise<void> }> {
  const url = process.env['DATABASE_URL'];
  const entities = [Thing, Link];
  if (!url) {
    const db = await new DataSource({
      type: 'better-sqlite3',
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
