import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { Public } from '../../src/authentication/plan.js';
import { boot, client, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';

const postgres = process.env['DATABASE_URL'];

@Controller('outage')
@Public()
class Outage {
  /** The errors by which Node and pg report an unavailable database. */
  @Get('refused') refused() {
    throw Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED' });
  }
  @Get('stopping') stopping() {
    throw Object.assign(new Error('terminating connection'), { code: '57P01' });
  }
  @Get('dropped') dropped() {
    throw new Error('Connection terminated unexpectedly');
  }
  @Get('wrong') wrong() {
    throw Object.assign(new Error('syntax error'), { code: '42601' });
  }
}

describe('a database outage', () => {
  let booted: Booted;
  /** Distinguishes this server's connections from those of other tests. */
  const name = `outage-${randomUUID()}`;
  beforeAll(async () => {
    process.env['PGAPPNAME'] = name;
    booted = await boot({ controllers: [Outage] });
  });
  afterAll(async () => {
    delete process.env['PGAPPNAME'];
    await booted.close();
  });

  it('responds 503 with Retry-After and without the address, and 500 to an invalid query', async () => {
    const get = async (path: string) => {
      const { status, headers, body } = await client(booted.origin).get(`/outage/${path}`);
      expect(JSON.stringify(body)).not.toContain('10.1.2.3');
      return [status, body.code, headers.get('retry-after')];
    };
    for (const path of ['refused', 'stopping', 'dropped'])
      expect(await get(path)).toEqual([503, 'service_unavailable', '1']);
    expect(await get('wrong')).toEqual([500, 'internal_error', null]);
  });

  if (postgres) {
    it('replaces connections that the database ended, and accepts no revoked credential meanwhile', async () => {
      const [contract] = await allContracts();
      const credential = await contract!.issue(booted, 'bob');
      const call = async () => (await send(credential, `${booted.origin}/me`)).status;
      expect(await call()).toBe(200);
      const admin = new Client({ connectionString: postgres });
      await admin.connect();
      const endConnections = () =>
        admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE pid <> pg_backend_pid() AND application_name = $1`,
          [name],
        );
      for (let round = 0; round < 5; round++) {
        const statuses = Promise.all(Array.from({ length: 20 }, call));
        await endConnections();
        for (const status of await statuses) expect([200, 503]).toContain(status);
      }
      await credential.revoke();
      for (const status of await Promise.all(Array.from({ length: 20 }, call)))
        expect([401, 503]).toContain(status);
      await admin.end();
    });

    it('responds 503 and reports not ready while all connections are in use', async () => {
      const held = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const runner = booted.db.createQueryRunner();
          await runner.connect();
          return runner;
        }),
      );
      const anonymous = client(booted.origin);
      const [ready, live] = await Promise.all([
        anonymous.get('/health/ready'),
        anonymous.get('/health/live'),
      ]);
      expect([ready.status, live.status]).toEqual([503, 200]);
      const [contract] = await allContracts();
      const waiting = await anonymous.get(`/demo/${contract!.name}`, contract!.unknown);
      expect([waiting.status, waiting.body.code]).toEqual([503, 'service_unavailable']);
      for (const runner of held) await runner.release();
      expect((await anonymous.get('/health/ready')).status).toBe(200);
    });
  }
});
