/**
 * Drops the messages that libraries print while a test file runs, such as oidc-provider's notice about the version of Node. Messages
 * of this project and of the tests are printed.
 */
for (const level of ['debug', 'info', 'log', 'warn', 'error'] as const) {
  // oxlint-disable-next-line no-console -- this is what it replaces
  const print = console[level].bind(console);
  // oxlint-disable-next-line no-console
  console[level] = (...messages: unknown[]) => {
    const [, , caller = ''] = (new Error().stack ?? '').split('\n');
    // A library's own helper calls the console, so its frame is the first one.
    if (!caller.includes('node_modules')) print(...messages);
  };
}
