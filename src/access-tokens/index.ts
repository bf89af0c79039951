export * from './access-token.entity.js';
export * from './access-tokens.module.js';
