import { DataSource } from 'typeorm';
import { INSTALLED_METHODS, schemaOf } from '../app.module.js';
import { Settings } from '../config/index.js';
import { dataSourceOptions } from '../database/index.js';

/** For TypeORM's command line: `npm run typeorm -- migration:show`. */
export default new DataSource(dataSourceOptions(Settings.from(process.env), schemaOf(INSTALLED_METHODS)));
