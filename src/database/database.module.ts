import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource, DataSourceOptions } from 'typeorm';
import type { Settings } from '../config/settings.js';
import type { Schema } from './columns.js';
import { dataSourceOptions, openDataSource } from './data-source.js';

@Module({})
export class DatabaseModule {
  static forRoot(settings: Settings, schema: Schema): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRootAsync({
          // If the database is unreachable, the start fails with the reason, and the process manager tries again.
          useFactory: () => ({ ...dataSourceOptions(settings, schema), retryAttempts: 1 }),
          dataSourceFactory: (options): Promise<DataSource> => openDataSource(options as DataSourceOptions),
        }),
      ],
    };
  }
}
