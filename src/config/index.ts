export * from './config.module.js';
export * from './json.js';
export * from './settings.js';
export * from './startup-error.js';
