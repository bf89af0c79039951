import { Global, Module } from '@nestjs/common';
import { Base1700000000000 } from './base.migration.js';
import type { Schema } from './columns.js';
import { DemoDataService, DemoPart } from './demo-data.service.js';
import { LastUsed } from './last-used.service.js';

export const databaseSchema: Schema = { entities: [DemoPart], migrations: [Base1700000000000] };

/** The demo data and "last used". A copied method works without these. */
@Global()
@Module({
  providers: [DemoDataService, LastUsed],
  exports: [DemoDataService, LastUsed],
})
export class DatabaseServicesModule {}
