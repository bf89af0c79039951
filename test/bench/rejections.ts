import type { Cost } from './cost-meter.js';
import { markdownTable } from './report.js';
import { startApplication } from './servers.js';

const REQUESTS = 300;

/**
 * Measures the most expensive request of each method that is rejected before a key is known.
 * @returns the CPU time of one request in milliseconds, as a Markdown table
 */
export async function measureRejections(): Promise<string> {
  // mtls reads its header only from a trusted proxy.
  const settings = { TRUST_PROXY: '127.0.0.1' };
  const { origin, costly, server } = await startApplication({ documents: 0, many: {} }, settings);
  const send = async (target: string, headers: Record<string, string>) => {
    for (let i = 0; i < REQUESTS; i++) {
      const response = await fetch(origin + target, { headers });
      await response.text();
      if (response.status !== 401) throw new Error(`${target}: ${response.status}`);
    }
  };
  const lines: string[][] = [];
  for (const [name, { target = `/demo/${name}`, headers }] of [
    ['no credential', { target: '/me', headers: {} }] as const,
    ...Object.entries(costly),
  ]) {
    // The first round warms up.
    await send(target, headers);
    const before = await server.ask<Cost>({ cost: true });
    await send(target, headers);
    const after = await server.ask<Cost>({ cost: true });
    lines.push([name, ((after.cpu - before.cpu) / 1000 / REQUESTS).toFixed(2)]);
  }
  return `${markdownTable(['method', 'CPU ms'], lines).join('\n')}\n`;
}
