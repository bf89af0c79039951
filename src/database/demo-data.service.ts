import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource, Entity, PrimaryColumn } from 'typeorm';
import { Settings } from '../config/settings.js';

/** The parts of the demo that were created. */
@Entity('demo_parts')
export class DemoPart {
  @PrimaryColumn({ type: 'varchar', length: 64 })
  name!: string;
}

/** Creates the demo if the setting `DEMO` is on and no one else uses the database: the provider of `DemoPort`. */
@Injectable()
export class DemoDataService implements OnModuleInit {
  private inOtherUse = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
  ) {}

  /** @throws Error if the demo is off, on a database with its published accounts */
  async onModuleInit(): Promise<void> {
    if (!this.settings.demo && (await this.dataSource.manager.exists(DemoPart)))
      throw new Error(
        'This database contains the demo accounts, whose password is public. Use a new database without the demo.',
      );
  }

  /** Whether the demo's accounts exist, so that its commands work. */
  get exists(): boolean {
    return this.settings.demo && !this.inOtherUse;
  }

  async once<T extends object>(
    part: string,
    create: (manager: T) => Promise<void | false>,
  ): Promise<boolean> {
    if (!this.exists) return false;
    await this.dataSource.transaction(async (manager) => {
      // TypeORM's query builder has no RETURNING on SQLite.
      const created = await manager.sql<unknown[]>`
        INSERT INTO demo_parts (name) VALUES (${part}) ON CONFLICT DO NOTHING RETURNING name`;
      if (!created.length || (await create(manager as object as T)) !== false) return;
      this.inOtherUse = true;
      await manager.delete(DemoPart, { name: part });
    });
    return this.exists;
  }
}
