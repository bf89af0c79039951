import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { Settings } from '../../src/config/settings.js';
import type { Contract, Credential, Running } from '../method.contract.js';
import { allContracts } from '../support/contracts.js';
import { seedDocuments } from './seed.js';

type Headers = Readonly<Record<string, string>>;

/** The message of the process once everything is in the database. */
export interface Credentials {
  /** Headers of a reusable credential, by method. */
  readonly reusable: Readonly<Record<string, Headers>>;
  /** The request whose rejection costs the most, by method. */
  readonly costly: Readonly<Record<string, Contract['costly']>>;
  /** Headers of many credentials, by method. */
  readonly many: Readonly<Record<string, readonly Headers[]>>;
  /** The TLS origin and a client's certificate; absent if no installed method uses TLS. */
  readonly tls: { readonly origin: string; readonly options: NonNullable<Credential['tls']> } | undefined;
}

/** A message to the process, which answers with the headers of that many requests, signed now. */
export interface SigningRequest {
  readonly method: string;
  readonly count: number;
  readonly url: string;
  readonly body?: string;
}

export interface CredentialsOptions {
  /** The server that the credentials are for. This process works on its database. */
  readonly origin: string;
  readonly documents: number;
  /** The number of credentials, by method. */
  readonly many: Readonly<Record<string, number>>;
}

/** Fills the database and signs requests, so that the server's process does nothing but answer. */
async function main({ origin, documents, many }: CredentialsOptions): Promise<void> {
  const app = await createApp();
  await app.init();
  const db = app.get(DataSource);
  await seedDocuments(app, documents);
  const running = { app, db, origin };
  const contracts = await allContracts();
  const issued = new Map<string, Credential>();
  for (const { name, issue, also = {} } of contracts) {
    issued.set(name, await issue(running, 'bob'));
    for (const [kind, other] of Object.entries(also))
      issued.set(`${name}, ${kind}`, await other(running, 'bob'));
  }
  const ready: Credentials = {
    reusable: await reusableHeaders(contracts, issued),
    costly: Object.fromEntries(contracts.map(({ name, costly }) => [name, costly])),
    many: await manyHeaders(contracts, running, many),
    tls: await tls(issued, origin),
  };
  if (app.get(Settings).databaseUrl) await db.query('ANALYZE');
  process.on('message', ({ method, count, url, body }: SigningRequest) => {
    void sign(issued.get(method)!, count, url, body).then((headers) => process.send!({ headers }));
  });
  process.once('disconnect', () => void app.close().then(() => process.exit(0)));
  process.send!(ready);
}

/** The headers of the methods whose requests can be repeated. */
async function reusableHeaders(contracts: readonly Contract[], issued: ReadonlyMap<string, Credential>) {
  const good = contracts.filter(({ once, bound }) => !once && !bound);
  const names = [...issued.keys()].filter((name) =>
    good.some((contract) => contract.name === name.split(',')[0]),
  );
  const entries = names.map(async (name) => {
    const [headers] = await sign(issued.get(name)!, 1, 'http://localhost');
    return [name, headers!] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function sign({ sign: signed }: Credential, count: number, url: string, body?: string) {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
  const headers: Headers[] = [];
  for (let i = 0; i < count; i++) {
    const request = await signed(new Request(url, body === undefined ? {} : { ...init, body }));
    headers.push(Object.fromEntries(request.headers));
  }
  return headers;
}

async function tls(issued: ReadonlyMap<string, Credential>, origin: string): Promise<Credentials['tls']> {
  for (const { sign: signed, tls: options } of issued.values())
    if (options) return { origin: new URL((await signed(new Request(origin))).url).origin, options };
  return undefined;
}

async function manyHeaders(
  contracts: readonly Contract[],
  running: Running,
  counts: CredentialsOptions['many'],
): Promise<Credentials['many']> {
  const entries = contracts.map(
    async ({ name, many }) => [name, (await many?.(running, 'bob', counts[name] ?? 0)) ?? []] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

await main(JSON.parse(process.argv[2]!) as CredentialsOptions);
