import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { as, boot, client, type Booted } from '../support/app.js';

describe('health', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('says that the process lives and can work, to anybody, and no more than that', async () => {
    for (const path of ['/health/live', '/health/ready'])
      expect(await client(booted.origin).get(path)).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(Object.keys((await client(booted.origin).get('/health/ready')).body)).toEqual(['status']);
  });

  it('is alive but not ready without its database, and does not say why', async () => {
    const lost = await boot();
    await lost.db.destroy();
    const answer = await client(lost.origin).get('/health/ready');
    expect(answer).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
    expect(JSON.stringify(answer.body)).not.toMatch(/sqlite|postgres|typeorm|database|connect/i);
    expect((await client(lost.origin).get('/health/live')).status).toBe(200);
    await lost.close();
  });
});

describe('who is calling', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('GET /me is the principal as every route sees it', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const principal = {
      id: 'bob',
      kind: 'user' as const,
      tenantId: 'acme',
      roles: ['editor' as const],
      scopes: ['documents:read'],
      proofs: [{ method: 'test', credentialId: 'one', at, amr: ['pwd', 'otp'], bound: true }] as const,
    };
    const answer = await client(booted.origin, as(principal)).get('/me');
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toEqual(JSON.parse(JSON.stringify(principal)));
    expect((await client(booted.origin).get('/me')).status).toBe(401);
  });

  it('GET /methods lists what is installed, to anybody', async () => {
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
