import { Session, type Profiler } from 'node:inspector/promises';

/** A message that the application answers: `start` with nothing, `stop` with a {@link Profile}. */
export interface ProfileRequest {
  readonly profile: 'start' | 'stop';
}

/** The share of the busy time that each step of a request took. */
export type Profile = Readonly<Record<string, number>>;

export const GARBAGE_COLLECTION = 'garbage collection';
export const NODE = 'Node: sockets, HTTP, promises';

/**
 * The steps of a request by the place of their code: files, or single functions. Code without a place of its own, such as Node's, belongs
 * to the step that calls it, and the first match wins.
 */
export const STEPS: readonly {
  readonly name: string;
  readonly files: RegExp;
  readonly functions?: RegExp;
}[] = [
  { name: 'connection bookkeeping', files: /\/src\/http\/(connections|server|forwarded)\./ },
  { name: 'log line', files: /\/src\/http\/log|\/node_modules\/(pino|sonic-boom)\// },
  {
    name: 'checks of target and headers',
    files: /\/src\/http\/(request-listener|parameters)\./,
    functions: /^(errorIn|has|is)/,
  },
  { name: 'request listener', files: /\/src\/http\/request-listener\./ },
  { name: 'request context', files: /\/src\/http\/request-context\.|^node:(internal\/)?async_hooks/ },
  { name: 'rate limits: address, credential', files: /\/src\/rate-limits\/|\/rate-limiter-flexible\// },
  { name: 'permission check', files: /\/src\/(authorization\/[^/]*$|policy\.)|\/@casl\// },
  { name: 'handler', files: /\/src\/(demo|documents|authorization\/sql)\/|\/test\/bench\/unguarded/ },
  {
    name: 'authentication',
    files: /\/src\/(authentication|methods|access-tokens|passwords|users|crypto|database)\//,
  },
  { name: 'authentication', files: /\/node_modules\/(passport|@nestjs\/passport)/ },
  {
    name: 'response',
    files: /\/src\/http\/(response|json)\.|\/fastify\/lib\/reply\.js|\/express\/lib\/response/,
  },
  {
    name: 'Nest and adapter: routing',
    files: /\/src\/http\/|\/node_modules\/(@nestjs|fastify|find-my-way|express|router|rxjs)\//,
  },
];

const SAMPLING_INTERVAL_US = 250;

/** Lets the benchmark profile this process. */
export function reportProfiles(): void {
  const session = new Session();
  session.connect();
  const answer = async ({ profile }: ProfileRequest): Promise<object> => {
    if (profile === 'stop') return profileOf((await session.post('Profiler.stop')).profile);
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
    await session.post('Profiler.start');
    return {};
  };
  process.on('message', (message: object) => {
    if ('profile' in message) void answer(message as ProfileRequest).then((result) => process.send!(result));
  });
}

function profileOf({ nodes, samples = [] }: Profiler.Profile): Profile {
  const steps = new Map<number, string | undefined>();
  // A parent comes before its children.
  const inherited = new Map<number, string>();
  for (const { id, callFrame, children = [] } of nodes) {
    const step = stepOf(callFrame) ?? inherited.get(id) ?? NODE;
    steps.set(id, callFrame.functionName === '(idle)' ? undefined : step);
    for (const child of children) inherited.set(child, step);
  }
  const busy = samples.map((id) => steps.get(id)).filter((step) => step !== undefined);
  const counts: Record<string, number> = {};
  for (const step of busy) counts[step] = (counts[step] ?? 0) + 1 / busy.length;
  return counts;
}

function stepOf({ url, functionName }: Profiler.ProfileNode['callFrame']): string | undefined {
  if (functionName === '(garbage collector)') return GARBAGE_COLLECTION;
  return STEPS.find(({ files, functions }) => files.test(url) && (functions?.test(functionName) ?? true))
    ?.name;
}
