export * from './audit-event.entity.js';
export * from './audit-log.service.js';
export * from './audit.module.js';
export * from './purge-events.js';
export * from './verify-chain.js';
export * from './audit.controller.js';
export * from './refusal-events.js';
