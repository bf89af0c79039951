import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { BadCredential } from '../../src/authentication/challenge.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import { User, principalOf } from '../../src/users/user.entity.js';
import { as, boot, client, testMethod, type Booted } from '../support/app.js';
import { TestIssuer, testIssuer, withTestToken } from '../support/test-issuer.js';

describe('POST /auth/logout', () => {
  let booted: Booted;
  let issuer: TestIssuer;
  beforeAll(async () => {
    booted = await boot({ methods: [testIssuer, testMethod] });
    issuer = booted.app.get(TestIssuer, { strict: false });
  });
  afterAll(() => booted.close());

  const request = { setHeader: () => {} } as unknown as AuthRequest;

  /** A caller with a new sign-in of the test issuer. */
  async function signedIn(id: string, scopes?: string[]) {
    const user = await booted.db.manager.findOneByOrFail(User, { id });
    const proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false } as const;
    const issued = await issuer.issue(
      principalOf(user, proof, (reason) => new BadCredential('x', reason), scopes),
      request,
      user.epoch,
    );
    return client(booted.origin, withTestToken(issued.test_token));
  }

  it('ends only the sign-in of the request', async () => {
    const [here, there] = [await signedIn('bob'), await signedIn('bob')];
    expect((await here.get('/me')).status).toBe(200);
    expect(await here.post('/auth/logout')).toMatchObject({ status: 204, body: '' });
    expect((await here.get('/me')).status).toBe(401);
    expect((await there.get('/me')).status).toBe(200);
  });

  it('with everywhere ends all sign-ins of the account, and of no other', async () => {
    const [here, there, other] = [await signedIn('bob'), await signedIn('bob'), await signedIn('carol')];
    expect((await here.post('/auth/logout', { everywhere: true })).status).toBe(204);
    for (const each of [here, there]) expect((await each.get('/me')).status).toBe(401);
    expect((await other.get('/me')).status).toBe(200);

    const events = await booted.db.manager.findBy(AuditEvent, { target: 'user:bob' });
    expect(events).toMatchObject([
      {
        event: 'authn_token_revoked',
        userId: 'bob',
        tenantId: 'acme',
        method: 'test-issuer',
        details: { everywhere: true },
      },
    ]);
    expect((await (await signedIn('bob')).get('/me')).status).toBe(200);
  });

  it('with everywhere rejects a limited sign-in', async () => {
    const [limited, whole] = [await signedIn('bob', ['documents:read']), await signedIn('bob')];
    const response = await limited.post('/auth/logout', { everywhere: true });
    expect([response.status, response.body.code]).toEqual([403, 'limited_credential']);
    for (const each of [limited, whole]) expect((await each.get('/me')).status).toBe(200);
    expect((await limited.post('/auth/logout')).status).toBe(204);
  });

  it('rejects a credential without a sign-in, and names the route that revokes it', async () => {
    const before = await booted.db.manager.findOneByOrFail(User, { id: 'alice' });
    const alice = client(booted.origin, as({ id: 'alice' }));
    for (const body of [undefined, {}, { everywhere: true }])
      expect(await alice.post('/auth/logout', body)).toMatchObject({
        status: 400,
        body: { code: 'not_signed_in', detail: expect.stringContaining('Revoke it at its own route') },
      });
    expect(await booted.db.manager.findOneByOrFail(User, { id: 'alice' })).toEqual(before);
  });

  it('requires authentication, and rejects other fields and types', async () => {
    expect((await client(booted.origin).post('/auth/logout')).status).toBe(401);
    const bob = await signedIn('bob');
    for (const body of [{ everywhere: 'yes' }, { everywhere: true, userId: 'carol' }, []])
      expect(await bob.post('/auth/logout', body)).toMatchObject({
        status: 422,
        body: { code: 'invalid_body' },
      });
    expect((await bob.get('/me')).status).toBe(200);
  });
});
