export * as apiKey from './api-key/index.js';
export * as basic from './basic/index.js';
export * as httpSignature from './http-signature/index.js';
export * as jwt from './jwt/index.js';
export * as password from './password/index.js';
export * as session from './session/index.js';
