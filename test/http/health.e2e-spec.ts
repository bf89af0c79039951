import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { as, boot, client, type Booted } from '../support/app.js';

describe('health', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('reports liveness and readiness without a credential or details', async () => {
    for (const path of ['/health/live', '/health/ready'])
      expect(await client(booted.origin).get(path)).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(Object.keys((await client(booted.origin).get('/health/ready')).body)).toEqual(['status']);
  });

  it('reports live but not ready without the database, and no reason', async () => {
    const withoutDatabase = await boot();
    await withoutDatabase.db.destroy();
    const response = await client(withoutDatabase.origin).get('/health/ready');
    expect(response).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
    expect(JSON.stringify(response.body)).not.toMatch(/sqlite|postgres|typeorm|database|connect/i);
    expect((await client(withoutDatabase.origin).get('/health/live')).status).toBe(200);
    await withoutDatabase.close();
  });
});

describe('GET /me and GET /methods', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('GET /me returns the principal', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const principal = {
      id: 'bob',
      kind: 'user' as const,
      tenantId: 'acme',
      roles: ['editor' as const],
      scopes: ['documents:read'],
      proofs: [{ method: 'test', credentialId: 'one', at, amr: ['pwd', 'otp'], bound: true }] as const,
    };
    const response = await client(booted.origin, as(principal)).get('/me');
    expect(response).toMatchObject({ status: 200 });
    expect(response.body).toEqual(JSON.parse(JSON.stringify(principal)));
    expect((await client(booted.origin).get('/me')).status).toBe(401);
  });

  it('GET /methods lists the installed methods without a credential', async () => {
    const { body } = await client(booted.origin).get('/methods');
    const listed = INSTALLED_METHODS.map(({ name, strategy }) => ({
      name,
      proves: strategy ? 'requests' : 'a ceremony',
      ...(strategy && { challenge: expect.stringMatching(/^[\w-]+ realm="auth-atlas"/) }),
      docs: `docs/methods/${name}.md`,
    }));
    expect(body).toEqual(expect.arrayContaining(listed));
  });
});
