export * from './attempts.js';
export * from './hashing.js';
export * from './known-address.entity.js';
export * from './network.js';
export * from './password.entity.js';
export * from './passwords.js';
export * from './passwords.module.js';
export * from './refusals.js';
