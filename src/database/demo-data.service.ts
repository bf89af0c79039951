import { Injectable } from '@nestjs/common';
import { DataSource, Entity, PrimaryColumn, type EntityManager } from 'typeorm';
import { Settings } from '../config/settings.js';

/** The demo's tenants, accounts and password are published: they never exist in production. */
export const DEMO_PASSWORD = 'correct-horse-battery-staple';

/** Which parts of the demo have been made. */
@Entity('demo_parts')
export class DemoPart {
  @PrimaryColumn({ type: 'varchar', length: 64 })
  name!: string;
}

/** Lets each folder make its own part of the demo, once in a database's life: what a user deletes stays deleted. */
@Injectable()
export class DemoData {
  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
  ) {}

  /** Runs `make` in a transaction, where the demo is on and this part was never made. */
  async once(part: string, make: (manager: EntityManager) => Promise<void>): Promise<void> {
    if (!this.settings.demo) return;
    await this.dataSource.transaction(async (manager) => {
      const made = await manager.sql<unknown[]>`
        INSERT INTO demo_parts (name) VALUES (${part}) ON CONFLICT DO NOTHING RETURNING name`;
      if (made.length) await make(manager);
    });
  }

  /** @throws Error where production is pointed at a database with the demo's published accounts in it */
  async refuseInProduction(): Promise<void> {
    if (this.settings.production && (await this.dataSource.manager.exists(DemoPart)))
      throw new Error(
        'This database contains the demo accounts, whose password is public. Use a new database in production.',
      );
  }
}
