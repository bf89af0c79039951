import autocannon from 'autocannon';

/** One stretch of load on one route: requests a second, and latencies in milliseconds. */
export interface Load {
  readonly url: string;
  readonly seconds: number;
  /** Sent in turn, one set of headers after the other. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** Posted, where it is there. */
  readonly body?: string;
  /** What the connections are made with, where they are TLS. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

export interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Which set of headers comes next, by URL: a round goes on where the one before it ended. */
const turns = new Map<string, number>();

/** Runs in a process of its own, on another core than the server's. */
process.on('message', ({ url, seconds, headers, body, tls }: Load) => {
  let turn = turns.get(url) ?? 0;
  const latencies: number[] = [];
  const run = autocannon(
    {
      url,
      duration: seconds,
      connections: 10,
      ...(body !== undefined && { method: 'POST', body }),
      ...(tls && { tlsOptions: tls }),
      requests: [
        {
          setupRequest: (request) => ({ ...request, headers: headers[turn++ % headers.length]! }),
        },
      ],
    },
    (error, result) => {
      turns.set(url, turn);
      if (error || result.non2xx || result.errors)
        process.send!({ failed: `${url}: ${String(error ?? `${result.non2xx} refused`)}` });
      else process.send!(measured(latencies, result.duration));
    },
  );
  run.on('response', (_client, _status, _bytes, milliseconds) => latencies.push(milliseconds));
});

function measured(latencies: number[], seconds: number): Measured {
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  return { perSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99) };
}

process.once('disconnect', () => process.exit(0));
