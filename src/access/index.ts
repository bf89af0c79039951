export * from './ability.factory.js';
export * from './access.module.js';
export * from './can.guard.js';
