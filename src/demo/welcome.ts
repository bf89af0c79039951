import type { AuthMethod } from '../authentication/method.js';

/**
 * The text printed at start: one command for each method that works with curl alone.
 * @param curlByMethod the arguments of methods whose own folder has none
 */
export function welcomeText(
  origin: string,
  methods: readonly AuthMethod[],
  curlByMethod: Readonly<Record<string, string>> = {},
): string {
  const lines = methods.flatMap(({ name, curl = curlByMethod[name] }) =>
    curl ? [[name, `curl ${curl.replaceAll('ORIGIN', origin)} ${origin}/demo/${name}`]] : [],
  );
  const width = Math.max(...lines.map(([name = '']) => name.length));
  return [
    `\nAuth Atlas listens on ${origin}. Sign in:\n`,
    ...lines.map(([name = '', command]) => `  ${name.padEnd(width)}  ${command}`),
    `\nAll routes: ${origin}/openapi\n\n`,
  ].join('\n');
}

/** The text printed at start on a database with accounts of its own. */
export const textWithoutDemo = (origin: string): string =>
  `\nAuth Atlas listens on ${origin}. The demo is not created, because this database has other accounts.\n\n` +
  `All routes: ${origin}/openapi\n\n`;
