export * as basic from './basic/index.js';
