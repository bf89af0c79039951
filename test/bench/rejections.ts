import type { ChildProcess } from 'node:child_process';
import type { CpuTimeRequest, Ready } from './server.js';

const REQUESTS = 300;

export interface Rejection {
  readonly name: string;
  /** CPU time of the server's process for one request, in milliseconds. */
  readonly milliseconds: number;
}

/**
 * Measures the most expensive request of each method that is rejected before a key is known.
 * @param nextMessage of the server
 */
export async function measureRejections(
  { origin, costly }: Ready,
  server: ChildProcess,
  nextMessage: <T extends object>(child: ChildProcess) => Promise<T>,
): Promise<Rejection[]> {
  const cpuTime = async () => {
    server.send({ cpuTime: true } satisfies CpuTimeRequest);
    return (await nextMessage<{ milliseconds: number }>(server)).milliseconds;
  };
  const send = async (target: string, headers: Record<string, string>) => {
    for (let i = 0; i < REQUESTS; i++) {
      const response = await fetch(origin + target, { headers });
      await response.text();
      if (response.status !== 401) throw new Error(`${target}: ${response.status}`);
    }
  };
  const rejections: Rejection[] = [];
  for (const [name, { target = `/demo/${name}`, headers }] of [
    ['no credential', { target: '/me', headers: {} }] as const,
    ...Object.entries(costly),
  ]) {
    // The first round warms up.
    await send(target, headers);
    const before = await cpuTime();
    await send(target, headers);
    rejections.push({ name, milliseconds: ((await cpuTime()) - before) / REQUESTS });
  }
  return rejections;
}

/** The figures as a Markdown table. */
export const reportRejections = (rejections: readonly Rejection[], machine: string, date: Date): string =>
  [
    `Measured ${date.toISOString().slice(0, 10)} on ${machine}.`,
    '',
    '| method | CPU ms |',
    '| --- | ---: |',
    ...rejections.map(({ name, milliseconds }) => `| ${name} | ${milliseconds.toFixed(2)} |`),
    '',
  ].join('\n');
