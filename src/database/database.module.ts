import { Global, Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource, DataSourceOptions } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { dataSourceOptions, openDataSource, type Schema } from './data-source.js';
import { DemoData, DemoPart } from './demo-data.service.js';
import { LastUsed } from './last-used.service.js';
import { Base1700000000000 } from './base.migration.js';

export const databaseSchema: Schema = { entities: [DemoPart], migrations: [Base1700000000000] };

@Global()
@Module({ providers: [DemoData, LastUsed], exports: [DemoData, LastUsed] })
export class DatabaseModule {
  static forRoot(settings: Settings, schema: Schema): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRootAsync({
          // A database that is not there stops the start with its reason, and whatever runs us tries again.
          useFactory: () => ({ ...dataSourceOptions(settings, schema), retryAttempts: 1 }),
          dataSourceFactory: (options): Promise<DataSource> => openDataSource(options as DataSourceOptions),
        }),
      ],
    };
  }
}
