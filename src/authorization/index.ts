export * from './ability.factory.js';
export * from './authorization.module.js';
export * from './sql/accessible-by.js';
export * from './assert-can.js';
export * from './can.guard.js';
export * from './sql/cursor.js';
export * from './sql/keyset-pages.js';
export * from './rules.js';
