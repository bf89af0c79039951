export * from './demo.module.js';
export * from './welcome.js';
