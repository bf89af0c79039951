export * from './base.migration.js';
export * from './columns.js';
export * from './data-source.js';
export * from './database.module.js';
export * from './demo.js';
export * from './last-seen.js';
export * from './row.js';
export * from './sqlite.js';
