import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Provider } from 'oidc-provider';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { readAuthorizationServerConfig } from '../../src/authorization-server/authorization-server.config.js';
import { OidcProviderService } from '../../src/authorization-server/provider/oidc-provider.service.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { recordId, revokeGrant } from '../../src/authorization-server/storage/oauth-records.service.js';
import { Settings } from '../../src/config/settings.js';
import { setPassword } from '../../src/passwords/set-password.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { User } from '../../src/users/user.entity.js';
import { boot, type Booted, type TestResponse } from '../support/app.js';
import { startProcesses } from '../support/processes.js';
import { basicOf, claimsOf, dpopKey, oauthAt } from './flows.js';

type Key = Awaited<ReturnType<typeof dpopKey>>;

const GRANTED = 'documents:read documents:write';
const HOUR_MS = 60 * 60_000;

/** Creates a consent of bob with its first refresh token, without the pages. */
async function makeTokenFamily(provider: Provider, clientId: string, key?: Key) {
  const resource = new URL(provider.issuer).origin;
  const grant = new provider.Grant({ accountId: 'bob', clientId });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(resource, GRANTED);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId: 'bob',
    client: (await provider.Client.find(clientId))!,
    grantId,
    resource,
    scope: `openid offline_access ${GRANTED}`,
    ...(key && { jkt: key.jkt }),
  } as never);
  return { first: await token.save(), grantId };
}

const expectError = (response: TestResponse, error = 'invalid_grant', status = 400) =>
  expect({ status: response.status, error: response.body.error }).toEqual({ status, error });

/** @param url of the token endpoint, as the proof names it */
const refreshWith = async (origin: string, url: string, token: string, key?: Key, more = {}) =>
  oauthAt(origin).refresh(token, { client_id: 'native', ...more }, key ? { DPoP: await key.proof(url) } : {});

describe('a lost response to a refresh', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let provider: Provider;
  let key: Key;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    provider = await booted.app.get(OidcProviderService).provider();
    key = await dpopKey();
  });
  afterAll(() => booted.close());

  const refresh = (token: string, by: Key | undefined = key, more = {}) =>
    refreshWith(booted.origin, `${oauth.issuer}/token`, token, by, more);
  const isActive = async (token: string) => (await oauth.introspect(token))['active'];
  const setUsedAt = (token: string, consumedAt: Date) =>
    booted.db.manager.update(OauthRecord, { id: recordId('RefreshToken', token) }, { consumedAt });
  const ago = (milliseconds: number) => new Date(Date.now() - milliseconds);
  const reuseEvents = async () => {
    await booted.app.get(AuditLog).flush();
    return booted.db.manager.countBy(AuditEvent, { event: 'authn_token_reuse' });
  };
  /** A family whose first token was used by a request without a response. */
  const lost = async (clientId = 'native') => {
    const family = await makeTokenFamily(provider, clientId, key);
    const { body } = await refresh(family.first, key, { client_id: clientId });
    return { ...family, successor: body.refresh_token as string, access: body.access_token as string };
  };

  describe('of a client with a DPoP key', () => {
    it('is sent again for a fresh proof of the same key, after a sign-in by the pages', async () => {
      const native = { client_id: 'native', redirect_uri: 'http://127.0.0.1/callback' };
      const code = await oauth.code({
        ...native,
        prompt: 'consent',
        scope: `openid offline_access ${GRANTED}`,
      });
      const proof = await key.proof(`${oauth.issuer}/token`);
      const { refresh_token } = (await oauth.redeem(code, native, { DPoP: proof })).body;
      const first = await refresh(refresh_token);
      const again = await refresh(refresh_token);
      expect(again.status).toBe(200);
      expect(again.body).toMatchObject({ token_type: 'DPoP', refresh_token: first.body.refresh_token });
      expect(claimsOf(again.body.access_token)).toMatchObject({ cnf: { jkt: key.jkt } });
      for (const { body } of [first, again]) expect(await isActive(body.access_token)).toBe(true);
      expect((await refresh(again.body.refresh_token)).body.refresh_token).toEqual(expect.any(String));
    });

    it('needs a new proof for each repeat', async () => {
      const { first, successor } = await lost();
      const headers = { DPoP: await key.proof(`${oauth.issuer}/token`) };
      expect((await oauth.refresh(first, { client_id: 'native' }, headers)).body.refresh_token).toBe(
        successor,
      );
      expectError(await oauth.refresh(first, { client_id: 'native' }, headers));
    });

    it('is recovered at every step of a family', async () => {
      let { first: token } = await makeTokenFamily(provider, 'native', key);
      for (let step = 0; step < 5; step++) {
        const { refresh_token } = (await refresh(token)).body;
        expect((await refresh(token)).body.refresh_token).toBe(refresh_token);
        token = refresh_token;
      }
    });

    it('is recovered if the server failed between the use of the token and the storage of its successor', async () => {
      const { first, successor } = await lost();
      await booted.db.manager.delete(OauthRecord, { id: recordId('RefreshToken', successor) });
      expect((await refresh(first)).body.refresh_token).toBe(successor);
      expect((await refresh(successor)).status).toBe(200);
    });

    it('does not make the used token active for introspection', async () => {
      const { first, successor } = await lost();
      const introspect = async (token: string) =>
        (await oauth.post('/token/introspection', { token, client_id: 'native' })).body as unknown;
      expect(await introspect(first)).toEqual({ active: false });
      expect(await introspect(successor)).toMatchObject({ active: true });
    });

    it('stores the successor encrypted only', async () => {
      const { successor } = await lost();
      expect(JSON.stringify(await booted.db.manager.find(OauthRecord))).not.toContain(successor);
    });

    it('can be repeated for 24 hours', async () => {
      const inTime = await lost();
      await setUsedAt(inTime.first, ago(23 * HOUR_MS));
      expect((await refresh(inTime.first)).body.refresh_token).toBe(inTime.successor);
      const late = await lost();
      await setUsedAt(late.first, ago(24 * HOUR_MS));
      expectError(await refresh(late.first));
      expectError(await refresh(late.successor));
    });

    it('ends the consent if the successor was used, and records the reuse', async () => {
      const { first, successor, access } = await lost();
      const second = (await refresh(successor)).body;
      const before = await reuseEvents();
      expectError(await refresh(first));
      expect(await reuseEvents()).toBe(before + 1);
      expectError(await refresh(second.refresh_token));
      for (const token of [access, second.access_token]) expect(await isActive(token)).toBe(false);
    });

    it('gives no scope beyond the consent, and narrows the new access token only', async () => {
      const { first, successor } = await lost();
      const scopeOf = async (scope?: string) => {
        const { body } = await refresh(first, key, scope === undefined ? {} : { scope });
        expect(body.refresh_token).toBe(successor);
        return body.scope as string;
      };
      expect(await scopeOf('documents:read')).toBe('documents:read');
      expect((await scopeOf()).split(' ')).toEqual(expect.arrayContaining(GRANTED.split(' ')));
      expectError(await refresh(first, key, { scope: 'documents:delete' }), 'invalid_scope');
      expect((await refresh(successor)).status).toBe(200);
    });
  });

  describe('attacks', () => {
    it('without the key, a used token of any age obtains nothing, ends nothing and is no recorded reuse', async () => {
      const { first, successor } = await lost();
      const other = await dpopKey();
      const before = await reuseEvents();
      for (const thief of [other, undefined])
        expectError(await refreshWith(booted.origin, `${oauth.issuer}/token`, first, thief));
      const third = (await refresh(successor)).body.refresh_token as string;
      expectError(await refresh(first, other));
      expectError(await refresh(successor, other));
      expect(await reuseEvents()).toBe(before);
      expect((await refresh(third)).status).toBe(200);
    });

    it('under the id of another client, the key obtains nothing and ends nothing', async () => {
      const { first, successor } = await lost();
      expectError(await refresh(first, key, { client_id: 'spa' }));
      const proof = await key.proof(`${oauth.issuer}/token`);
      expectError(await oauth.refresh(first, {}, { ...basicOf('web'), DPoP: proof }));
      expect((await refresh(first)).body.refresh_token).toBe(successor);
    });

    it.each([
      [
        'the consent was withdrawn',
        ({ grantId }: { grantId: string }) =>
          booted.db.transaction((manager) => revokeGrant(manager, grantId)),
      ],
      [
        'the successor was revoked',
        ({ successor }: { successor: string }) =>
          oauth.post('/token/revocation', { token: successor, client_id: 'native' }),
      ],
      [
        'the used token was revoked',
        ({ first }: { first: string }) =>
          oauth.post('/token/revocation', { token: first, client_id: 'native' }),
      ],
      ['all sign-ins were ended', () => booted.db.transaction((manager) => endAllSignIns(manager, 'bob'))],
    ])(
      'is not sent again after %s',
      async (_, end: (family: Awaited<ReturnType<typeof lost>>) => unknown) => {
        const family = await lost();
        await end(family);
        for (const token of [family.first, family.successor]) expectError(await refresh(token));
      },
    );

    it('is not sent again for a disabled account', async () => {
      const { first } = await lost();
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: new Date() });
      expectError(await refresh(first));
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: null });
    });

    it('is not sent again for a deleted client', async () => {
      const deleted = { ...(await booted.app.get(ClientsService).find('native'))!, client_id: 'deleted' };
      await booted.app.get(ClientsService).upsert('deleted', deleted);
      const { first, successor } = await lost('deleted');
      await booted.db.transaction((manager) => booted.app.get(ClientsService).remove(manager, 'deleted'));
      for (const token of [first, successor]) {
        expectError(await refresh(token, key, { client_id: 'deleted' }), 'invalid_client', 401);
        expectError(await refresh(token));
      }
    });

    it('leaves nothing valid of repeats that race a password reset', async () => {
      for (let round = 0; round < 5; round++) {
        const { first, successor } = await lost();
        const [, ...repeats] = await Promise.all([
          setPassword(booted.db, booted.app.get(AuditLog), 'bob', `tall giraffes read slowly ${round}`),
          ...Array.from({ length: 19 }, () => refresh(first)),
        ]);
        for (const { body } of repeats.filter(({ status }) => status === 200))
          expect(await isActive(body.access_token)).toBe(false);
        for (const token of [first, successor]) expectError(await refresh(token));
      }
    });
  });

  describe('of a client without a DPoP key', () => {
    const bearer = (token: string, origin = booted.origin) =>
      oauthAt(origin).refresh(token, { client_id: 'native' }, {});

    it('is not sent again by default, whatever the clocks of the processes', async () => {
      const { first } = await makeTokenFamily(provider, 'native');
      const { refresh_token } = (await bearer(first)).body;
      await setUsedAt(first, new Date(Date.now() + HOUR_MS));
      expectError(await bearer(first));
      expectError(await bearer(refresh_token));
    });

    it('is sent again for OAUTH_REFRESH_REUSE_SECONDS, until the successor is used', async () => {
      const own = await boot({ publicUrlIsOrigin: true, env: { OAUTH_REFRESH_REUSE_SECONDS: '30' } });
      try {
        const made = await own.app.get(OidcProviderService).provider();
        const families = await Promise.all([1, 2].map(() => makeTokenFamily(made, 'native')));
        const tokens = families.map(({ first }) => first);
        const successors: string[] = [];
        for (const token of tokens) {
          const all = await Promise.all(Array.from({ length: 20 }, () => bearer(token, own.origin)));
          const received = new Set(all.map(({ body }) => body.refresh_token as string));
          expect([all.every(({ status }) => status === 200), received.size]).toEqual([true, 1]);
          successors.push([...received][0]!);
        }
        const [used, late] = tokens as [string, string];
        expect((await bearer(successors[0]!, own.origin)).status).toBe(200);
        expectError(await bearer(used, own.origin));
        const id = recordId('RefreshToken', late);
        await own.db.manager.update(OauthRecord, { id }, { consumedAt: ago(30_000) });
        expectError(await bearer(late, own.origin));
        expectError(await bearer(successors[1]!, own.origin));
      } finally {
        await own.close();
      }
    });

    it('allows at most 60 seconds', () => {
      const read = (OAUTH_REFRESH_REUSE_SECONDS: string) =>
        readAuthorizationServerConfig(Settings.from({ OAUTH_REFRESH_REUSE_SECONDS })).refreshReuseSeconds;
      expect(['0', '9', '60'].map(read)).toEqual([0, 9, 60]);
      for (const wrong of ['61', '-1', '1.5', '1e1', '060', 'true'])
        expect(() => read(wrong)).toThrow(
          'OAUTH_REFRESH_REUSE_SECONDS must be a number of seconds from 0 to 60',
        );
    });
  });

  it('is recovered in 1,000 of 1,000 concurrent repeats with the key and in 0 of 300 without it, on two servers', async () => {
    const processes = await startProcesses(2);
    try {
      const made = await processes.app.get(OidcProviderService).provider();
      const url = `${made.issuer}/token`;
      const other = await dpopKey();
      const counts = { recovered: 0, stolen: 0, families: 0 };
      for (let round = 0; round < 50; round++) {
        const { first } = await makeTokenFamily(made, 'native', key);
        const successors = new Set<string>();
        for (const half of [0, 1]) {
          const use = (i: number, by: Key | undefined) =>
            refreshWith(processes.origins[(half + i) % 2]!, url, first, by);
          const [owners, thieves] = await Promise.all([
            Promise.all(Array.from({ length: 10 }, (_, i) => use(i, key))),
            Promise.all([other, other, undefined].map((by, i) => use(i, by))),
          ]);
          const received = owners.filter(({ status }) => status === 200);
          for (const { body } of received) successors.add(body.refresh_token as string);
          counts.recovered += received.length;
          counts.stolen += thieves.filter(({ status }) => status === 200).length;
        }
        const [successor = ''] = successors;
        const next = await refreshWith(processes.origins[round % 2]!, url, successor, key);
        if (successors.size === 1 && next.status === 200) counts.families++;
      }
      expect(counts).toEqual({ recovered: 1_000, stolen: 0, families: 50 });
    } finally {
      await processes.stop();
    }
  }, 300_000);
});
