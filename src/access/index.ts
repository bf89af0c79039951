export * from './ability.factory.js';
export * from './access.module.js';
export * from './accessible-by.js';
export * from './assert.js';
export * from './can.guard.js';
export * from './cursor.js';
export * from './pages.js';
export * from './rules.js';
