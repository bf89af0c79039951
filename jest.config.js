import { readFileSync } from 'node:fs';

/** The compiler options of the sources, also used by `test/support/build.js`. */
const swc = JSON.parse(readFileSync(new URL('.swcrc', import.meta.url), 'utf8'));

export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.{e2e-spec,spec}.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '\\.ts$': ['@swc/jest', { ...swc, sourceMaps: 'inline' }] },
  setupFiles: ['<rootDir>/test/support/quiet.ts'],
  reporters: ['default', '<rootDir>/test/support/cost-reporter.js'],
  // Jest's default would leave one core of two idle.
  maxWorkers: '100%',
  // Modules of finished files stay in memory; a worker above this starts anew.
  workerIdleMemoryLimit: '700MB',
  // Tests never assert timing. On a busy machine, a test that starts processes takes more than Jest's default of 5 seconds.
  testTimeout: 120_000,
};
