import { Global, Module } from '@nestjs/common';
import { Base1700000000000 } from './base.migration.js';
import type { Schema } from './columns.js';
import { DemoDataService, DemoPart } from './demo-data.service.js';
import { LastUsed } from './last-used.service.js';
import { WriteCheck, WriteCheckRow, WriteChecks1700000501000 } from './write-check.service.js';

export const databaseSchema: Schema = {
  entities: [DemoPart, WriteCheckRow],
  migrations: [Base1700000000000, WriteChecks1700000501000],
};

/** The demo data, "last used" and the check of the database. A copied method works without these. */
@Global()
@Module({
  providers: [DemoDataService, LastUsed, WriteCheck],
  exports: [DemoDataService, LastUsed, WriteCheck],
})
export class DatabaseServicesModule {}
