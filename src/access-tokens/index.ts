export * from './access-token.entity.js';
export * from './access-tokens.js';
export * from './access-tokens.module.js';
export * from './document-access.js';
export { callerBy, invalidToken, type VerifiedToken } from './verified-token.js';
