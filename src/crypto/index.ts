export * from './crypto.module.js';
export * from './keys.js';
export * from './one-time.js';
export * from './secret-box.js';
export * from './signing-key.entity.js';
export * from './signing-keys.js';
