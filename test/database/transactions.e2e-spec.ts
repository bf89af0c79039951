import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { Settings } from '../../src/config/settings.js';
import { databaseSchema } from '../../src/database/database-services.module.js';
import { dataSourceOptions, openDataSource } from '../../src/database/data-source.js';
import { Tenant } from '../../src/users/user.entity.js';
import { boot, type Booted } from '../support/app.js';

/** SQLite has one connection for all requests, PostgreSQL one for each. Both must behave alike. */
describe('transactions', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { DEMO: 'false' } })));
  afterEach(() => booted.db.manager.deleteAll(Tenant));
  afterAll(() => booted.close());

  const insert = (id: string, manager = booted.db.manager) => manager.insert(Tenant, { id, name: id });
  const tenantIds = async () =>
    (await booted.db.manager.find(Tenant, { order: { id: 'ASC' } })).map(({ id }) => id);
  const transaction = (work: (manager: EntityManager) => Promise<void>) => booted.db.transaction(work);

  it("isolates another request's query: it reads nothing uncommitted and survives a rollback", async () => {
    let outside: Promise<unknown[]> | undefined;
    const rolledBack = transaction(async (manager) => {
      await insert('inside', manager);
      outside = Promise.all([tenantIds(), insert('outside')]);
      // Lets a query run that does not wait for this transaction.
      await setImmediate();
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect((await outside!)[0]).not.toContain('inside');
    expect(await tenantIds()).toEqual(['outside']);
  });

  it('commits or rolls back each of twenty concurrent transactions by itself', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `t${String(i).padStart(2, '0')}`);
    const odd = (id: string) => Number(id.slice(1)) % 2 === 1;
    await Promise.allSettled(
      ids.map((id) =>
        transaction(async (manager) => {
          await insert(id, manager);
          await setImmediate();
          if (odd(id)) throw new Error('odd');
        }),
      ),
    );
    expect(await tenantIds()).toEqual(ids.filter((id) => !odd(id)));
  });

  it('rolls back an inner transaction and commits the outer one', async () => {
    await transaction(async (manager) => {
      await insert('outer', manager);
      const inner = manager.transaction(async (nested) => {
        await insert('inner', nested);
        throw new Error('only this');
      });
      await expect(inner).rejects.toThrow('only this');
      await manager.transaction(async (nested) => void (await insert('second', nested)));
    });
    expect(await tenantIds()).toEqual(['outer', 'second']);
  });

  it.each(['committed', 'rolled back'])(
    'rolls back the outer transaction after an inner one that was %s',
    async (how) => {
      let outside: Promise<unknown> | undefined;
      const outer = transaction(async (manager) => {
        await manager
          .transaction(async (nested) => {
            await insert('inner', nested);
            if (how === 'rolled back') throw new Error(how);
          })
          .catch(() => {});
        outside = insert('outside');
        await setImmediate();
        throw new Error('all of it');
      });
      await expect(outer).rejects.toThrow('all of it');
      await outside;
      expect(await tenantIds()).toEqual(['outside']);
    },
  );

  describe('runs the next query after a failure', () => {
    const expectNextQueryRuns = async () => {
      await transaction(async (manager) => void (await insert('next', manager)));
      expect(await tenantIds()).toEqual(['next']);
    };

    it('of the begin', async () => {
      await expect(booted.db.transaction('NO SUCH LEVEL' as never, async () => {})).rejects.toThrow();
      await expectNextQueryRuns();
    });

    it('of a query, inside or outside a transaction', async () => {
      await expect(booted.db.query('nonsense')).rejects.toThrow();
      await expect(transaction((manager) => manager.query('nonsense'))).rejects.toThrow();
      await expectNextQueryRuns();
    });

    it('of the commit', async () => {
      const failing = transaction(async (manager) => {
        await insert('lost', manager);
        jest
          .spyOn(manager.queryRunner!, 'commitTransaction')
          .mockRejectedValueOnce(new Error('disk is full'));
      });
      await expect(failing).rejects.toThrow('disk is full');
      await expectNextQueryRuns();
    });

    it('of the rollback, because the database had already ended the transaction', async () => {
      const failing = transaction(async (manager) => {
        await insert('lost', manager);
        await manager.query('ROLLBACK');
        throw new Error('disk is full');
      });
      await expect(failing).rejects.toThrow('disk is full');
      await expectNextQueryRuns();
    });
  });

  it('takes the write lock of SQLite at the begin, even before a read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atlas-'));
    const options = dataSourceOptions(Settings.from({ NODE_ENV: 'test', DATA_DIR: folder }), databaseSchema);
    const ours = await openDataSource(options);
    const theirs = await new DataSource(options).initialize();
    await theirs.query('PRAGMA busy_timeout = 0');
    await ours.transaction(async (manager) => {
      await manager.query('SELECT name FROM demo_parts');
      await expect(theirs.query("INSERT INTO demo_parts (name) VALUES ('x')")).rejects.toThrow('locked');
      await manager.query("INSERT INTO demo_parts (name) VALUES ('x')");
    });
    await Promise.all([ours.destroy(), theirs.destroy()]);
    rmSync(folder, { recursive: true });
  });
});
