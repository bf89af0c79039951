export * from './change-account.js';
export * from './epoch.js';
export * from './principal.js';
export * from './row.js';
export * from './user.entity.js';
export * from './username.js';
export * from './users.demo.js';
export * from './users.module.js';
