export * from './audit-event.entity.js';
export * from './audit-log.js';
export * from './audit.module.js';
export * from './purge.js';
export * from './refusals.js';
export * from './request-context.js';
export * from './verify.js';
export * from './vocabulary.js';
