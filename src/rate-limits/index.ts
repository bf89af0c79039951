export * from './counter.js';
export * from './failed-attempts.service.js';
export * from './network.js';
export * from './rate-limits.guard.js';
export * from './rate-limits.module.js';
export * from './rate-limits.service.js';
