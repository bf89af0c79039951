import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource, DataSourceOptions } from 'typeorm';
import type { Settings } from '../config/settings.js';
import type { Schema } from './columns.js';
import { dataSourceOptions, openDataSource } from './data-source.js';

@Module({})
export class DatabaseModule {
  /** @param check rejects an open database before it is used */
  static forRoot(
    settings: Settings,
    schema: Schema,
    check: (dataSource: DataSource) => Promise<void> = async () => {},
  ): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRootAsync({
          // If the database is unreachable, the start fails with the reason, and the process manager tries again.
          useFactory: () => ({ ...dataSourceOptions(settings, schema), retryAttempts: 1 }),
          dataSourceFactory: async (options): Promise<DataSource> => {
            const dataSource = await openDataSource(options as DataSourceOptions);
            await check(dataSource).catch(async (error: unknown) => {
              await dataSource.destroy();
              throw error;
            });
            return dataSource;
          },
        }),
      ],
    };
  }
}
