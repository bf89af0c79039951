import { Controller, Get, Module, type INestApplication } from '@nestjs/common';
import type { AddressInfo } from 'node:net';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app.js';
import { METHODS } from '../../src/app.module.js';
import { AbilityFactory, accessiblePage, type AppAbility } from '../../src/access/index.js';
import { Public, SelfService, type AuthMethod, type Principal } from '../../src/auth/index.js';
import { Settings } from '../../src/config/index.js';
import { Document } from '../../src/documents/index.js';
import { UNLIMITED } from '../app.js';
import { allContracts } from '../contracts.js';
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
  const settings = Settings.from({ ...process.env, PORT: '0', ...UNLIMITED });
  const app = await createApp(settings, [...METHODS, bench]);
  await app.listen(0, '127.0.0.1');
  await seedDocuments(app, plan.documents);
  const ready: Ready = {
    origin: `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`,
    repeated: await repeated(app),
    many: await many(app, plan.many),
    yardstick: app.get(Yardstick).token(),
  };
  if (settings.databaseUrl) await app.get(DataSource).query('ANALYZE');
  process.send!(ready);
  process.once('disconnect', () => void app.close().then(() => process.exit(0)));
}

const runningOf = (app: INestApplication) => ({ app, db: app.get(DataSource), origin: 'http://localhost' });

async function repeated(app: INestApplication): Promise<Ready['repeated']> {
  const entries = (await allContracts()).map(async ({ name, issue }) => {
    const { sign } = await issue(runningOf(app), 'bob');
    return [name, Object.fromEntries((await sign(new Request('http://localhost'))).headers)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function many(app: INestApplication, counts: Plan['many']): Promise<Ready['many']> {
  const entries = (await allContracts()).map(
    async ({ name, many: make }) =>
      [name, (await make?.(runningOf(app), 'bob', counts[name] ?? 0)) ?? []] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

await main(JSON.parse(process.argv[2]!) as Plan);
