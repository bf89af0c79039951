export * from './document.entity.js';
export * from './documents.module.js';
