export * from './access-token.entity.js';
export * from './access-tokens.service.js';
export * from './access-tokens.module.js';
export * from './document-access.js';
export { principalFromToken, invalidToken, type VerifiedToken } from './verified-token.js';
