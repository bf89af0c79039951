import { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../app.module.js';
import { Settings } from '../config/settings.js';
import { dataSourceOptions } from '../database/data-source.js';

/** For TypeORM's command line: `npm run typeorm -- migration:show`. */
export default new DataSource(dataSourceOptions(Settings.from(process.env), schemaOf(INSTALLED_METHODS)));
