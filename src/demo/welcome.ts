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
