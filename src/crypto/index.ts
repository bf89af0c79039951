export * from './crypto.module.js';
export * from './derived-keys.js';
export * from './replay-store.service.js';
export * from './secret-box.js';
export * from './signing-key.entity.js';
export * from './signing-keys.service.js';
export * from './jws.js';
