import { Controller, Get, Module, Post } from '@nestjs/common';
import type { AddressInfo } from 'node:net';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { AbilityFactory } from '../../src/authorization/ability.factory.js';
import { accessiblePage } from '../../src/authorization/sql/keyset-pages.js';
import type { AppAbility } from '../../src/authorization/app-ability.js';
import { Public, SelfService } from '../../src/authentication/plan.js';
import type { AuthMethod } from '../../src/authentication/method.js';
import type { Principal } from '../../src/authentication/principal.js';
import { Settings } from '../../src/config/settings.js';
import { Document } from '../../src/documents/document.entity.js';
import { UNLIMITED } from '../support/app.js';
import { allContracts } from '../support/contracts.js';
import type { Contract, Credential, Running } from '../method.contract.js';
import { seedDocuments } from './seed.js';
import { PassportJwtModule } from './passport-jwt.js';

/** The message that the server sends once it listens. */
export interface Ready {
  readonly origin: string;
  /** Headers of a reusable credential, by method. */
  readonly reusable: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The request whose rejection costs the most, by method. */
  readonly costly: Readonly<Record<string, Contract['costly']>>;
  /** Headers of many credentials, by method. */
  readonly many: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>;
  /** A token for the passport-jwt baseline. */
  readonly baselineToken: string;
  /** The TLS origin and a client's certificate; absent if no installed method uses TLS. */
  readonly tls: { readonly origin: string; readonly options: NonNullable<Credential['tls']> } | undefined;
}

/** A message to the server, which returns the CPU time of its process in milliseconds. */
export interface CpuTimeRequest {
  readonly cpuTime: true;
}

/** A message to the server, which returns the headers of that many requests, signed now. */
export interface SigningRequest {
  readonly method: string;
  readonly count: number;
  readonly url: string;
  readonly body?: string;
}

export interface ServerOptions {
  readonly documents: number;
  /** The number of credentials, by method. */
  readonly many: Readonly<Record<string, number>>;
}

/** The principal of the unguarded routes. */
const PRINCIPAL: Principal = {
  id: 'bob',
  kind: 'user',
  tenantId: 'acme',
  roles: ['editor'],
  proofs: [{ method: 'none' as never, at: new Date(), amr: [], bound: false }],
};

/** The baseline of the guarded routes: the same responses without authentication. */
@Controller()
class Unguarded {
  private readonly ability: AppAbility;

  constructor(
    private readonly dataSource: DataSource,
    abilities: AbilityFactory,
  ) {
    this.ability = abilities.for(PRINCIPAL);
  }

  @Get('unguarded/demo')
  @Public()
  demo() {
    return PRINCIPAL;
  }

  @Post('unguarded/demo')
  @Public()
  post() {
    return PRINCIPAL;
  }

  @Post('signed-in/demo')
  @SelfService()
  postSignedIn() {
    return PRINCIPAL;
  }

  @Get('unguarded/documents')
  @Public()
  open() {
    return this.documents();
  }

  @Get('signed-in/documents')
  @SelfService()
  signedIn() {
    return this.documents();
  }

  /** The SQL of bob's page, with an ability that is created once. */
  private async documents() {
    const { rows } = await accessiblePage(this.dataSource.manager, Document, this.ability, {
      action: 'read',
      sort: { property: 'createdAt', direction: 'DESC' },
      limit: 20,
      relations: ['shares'],
    });
    return { items: rows, nextCursor: null };
  }
}

@Module({ imports: [PassportJwtModule], controllers: [Unguarded] })
class BenchModule {}

const bench = { name: 'bench', module: BenchModule } as unknown as AuthMethod;

async function main(options: ServerOptions): Promise<void> {
  Object.assign(process.env, { PORT: '0', TLS_PORT: '0', TRUST_PROXY: '127.0.0.1', ...UNLIMITED });
  const app = await createApp([...INSTALLED_METHODS, bench]);
  await app.listen(0, '127.0.0.1');
  await seedDocuments(app, options.documents);
  const { port } = app.getHttpServer().address() as AddressInfo;
  const running = { app, db: app.get(DataSource), origin: `http://127.0.0.1:${port}` };
  const contracts = await allContracts();
  const issued = new Map<string, Credential>();
  for (const { name, issue, also = {} } of contracts) {
    issued.set(name, await issue(running, 'bob'));
    for (const [kind, other] of Object.entries(also))
      issued.set(`${name}, ${kind}`, await other(running, 'bob'));
  }
  const ready: Ready = {
    origin: running.origin,
    reusable: await reusableHeaders(contracts, issued),
    costly: Object.fromEntries(contracts.map(({ name, costly }) => [name, costly])),
    many: await many(contracts, running, options.many),
    baselineToken: app.get(PassportJwtModule).token(),
    tls: await tls(issued, running.origin),
  };
  if (app.get(Settings).databaseUrl) await app.get(DataSource).query('ANALYZE');
  process.send!(ready);
  process.on('message', (message: SigningRequest | CpuTimeRequest) => {
    if ('cpuTime' in message) {
      const { user, system } = process.cpuUsage();
      process.send!({ milliseconds: (user + system) / 1000 });
      return;
    }
    const { method, count, url, body } = message;
    void sign(issued.get(method)!, count, url, body).then((headers) => process.send!({ headers }));
  });
  process.once('disconnect', () => void app.close().then(() => process.exit(0)));
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
  const headers: Record<string, string>[] = [];
  for (let i = 0; i < count; i++) {
    const request = await signed(new Request(url, body === undefined ? {} : { ...init, body }));
    headers.push(Object.fromEntries(request.headers));
  }
  return headers;
}

async function tls(issued: ReadonlyMap<string, Credential>, origin: string): Promise<Ready['tls']> {
  for (const { sign: signed, tls: options } of issued.values())
    if (options) return { origin: new URL((await signed(new Request(origin))).url).origin, options };
  return undefined;
}

async function many(
  contracts: readonly Contract[],
  running: Running,
  counts: ServerOptions['many'],
): Promise<Ready['many']> {
  const entries = contracts.map(
    async ({ name, many: make }) => [name, (await make?.(running, 'bob', counts[name] ?? 0)) ?? []] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

await main(JSON.parse(process.argv[2]!) as ServerOptions);
