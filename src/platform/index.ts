export * from './adapters.js';
export * from './input.pipe.js';
export * from './log.js';
export * from './openapi.js';
export * from './platform.module.js';
export * from './problem.filter.js';
export * from './start.js';
