import autocannon from 'autocannon';

/** A load on one route for some seconds. */
export interface Load {
  readonly url: string;
  readonly seconds: number;
  /** Sets of headers, used one after the other. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** The body of a POST; without it the requests are GETs. */
  readonly body?: string;
  /** The certificates of TLS connections. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** Requests per second, and latencies in milliseconds. */
export interface Measurement {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** The index of the next set of headers, by URL: each round continues where the last one ended. */
const nextIndexes = new Map<string, number>();

/** Runs in its own process, on another core than the server. */
process.on('message', ({ url, seconds, headers, body, tls }: Load) => {
  let index = nextIndexes.get(url) ?? 0;
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
          setupRequest: (request) => ({ ...request, headers: headers[index++ % headers.length]! }),
        },
      ],
    },
    (error, result) => {
      nextIndexes.set(url, index);
      if (error || result.non2xx || result.errors)
        process.send!({ failed: `${url}: ${String(error ?? `${result.non2xx} rejected`)}` });
      else process.send!(measurementOf(latencies, result.duration));
    },
  );
  run.on('response', (_client, _status, _bytes, milliseconds) => latencies.push(milliseconds));
});

function measurementOf(latencies: number[], seconds: number): Measurement {
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  return { perSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99) };
}

process.once('disconnect', () => process.exit(0));
