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
import { Yardstick } from './yardstick.js';

/** What the server tells the one that measures it. */
export interface Ready {
  readonly origin: string;
  /** Headers of one good credential, by method. */
  readonly repeated: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Headers of many credentials, of the methods that have them. */
  readonly many: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>;
  readonly yardstick: string;
  /** Where it speaks TLS, and with which certificate a caller does; absent where no method has one. */
  readonly tls: { readonly origin: string; readonly options: NonNullable<Credential['tls']> } | undefined;
}

/** Asks the server for the headers of so many requests, signed at this moment. */
export interface ToSign {
  readonly method: string;
  readonly count: number;
  readonly url: string;
  readonly body?: string;
}

export interface Plan {
  readonly documents: number;
  /** How many credentials, by method. */
  readonly many: Readonly<Record<string, number>>;
}

/** As the guards would find him. */
const CALLER: Principal = {
  id: 'bob',
  kind: 'user',
  tenantId: 'acme',
  roles: ['editor'],
  proofs: [{ method: 'nobody asked' as never, at: new Date(), amr: [], bound: false }],
};

/** What the guarded routes are measured against: the same answers, and nobody asked. */
@Controller()
class Unguarded {
  private readonly ability: AppAbility;

  constructor(
    private readonly dataSource: DataSource,
    abilities: AbilityFactory,
  ) {
    this.ability = abilities.for(CALLER);
  }

  @Get('unguarded/demo')
  @Public()
  demo() {
    return CALLER;
  }

  @Post('unguarded/demo')
  @Public()
  post() {
    return CALLER;
  }

  @Post('signed-in/demo')
  @SelfService()
  postSignedIn() {
    return CALLER;
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

  /** The very SQL of bob's page, for rules that were made once. */
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

@Module({ imports: [Yardstick], controllers: [Unguarded] })
class BenchModule {}

const bench = { name: 'bench', module: BenchModule } as unknown as AuthMethod;

async function main(plan: Plan): Promise<void> {
  const settings = Settings.from({ ...process.env, PORT: '0', TLS_PORT: '0', ...UNLIMITED });
  const app = await createApp(settings, [...INSTALLED_METHODS, bench]);
  await app.listen(0, '127.0.0.1');
  await seedDocuments(app, plan.documents);
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
    repeated: await repeated(contracts, issued),
    many: await many(contracts, running, plan.many),
    yardstick: app.get(Yardstick).token(),
    tls: await tls(issued, running.origin),
  };
  if (settings.databaseUrl) await app.get(DataSource).query('ANALYZE');
  process.send!(ready);
  process.on('message', ({ method, count, url, body }: ToSign) => {
    void sign(issued.get(method)!, count, url, body).then((headers) => process.send!({ headers }));
  });
  process.once('disconnect', () => void app.close().then(() => process.exit(0)));
}

/** The headers of those whose requests are good again and again, for as long as a bench lasts. */
async function repeated(contracts: readonly Contract[], issued: ReadonlyMap<string, Credential>) {
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

/** Where TLS is spoken, and with which certificate. */
async function tls(issued: ReadonlyMap<string, Credential>, origin: string): Promise<Ready['tls']> {
  for (const { sign: signed, tls: options } of issued.values())
    if (options) return { origin: new URL((await signed(new Request(origin))).url).origin, options };
  return undefined;
}

async function many(
  contracts: readonly Contract[],
  running: Running,
  counts: Plan['many'],
): Promise<Ready['many']> {
  const entries = contracts.map(
    async ({ name, many: make }) => [name, (await make?.(running, 'bob', counts[name] ?? 0)) ?? []] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

await main(JSON.parse(process.argv[2]!) as Plan);
