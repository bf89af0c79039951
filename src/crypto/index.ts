export * from './keys.js';
export * from './secret-box.js';
