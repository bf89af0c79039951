import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Provider } from 'oidc-provider';
import { AccessToken } from '../../src/access-tokens/access-token.entity.js';
import { Settings } from '../../src/config/settings.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { OidcProviderService } from '../../src/authorization-server/provider/oidc-provider.service.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { RecordAdapter } from '../../src/authorization-server/storage/record-adapter.js';
import { OauthRecords, revokeGrant } from '../../src/authorization-server/storage/oauth-records.service.js';
import { AdapterFactory } from '../../src/authorization-server/storage/adapter-factory.service.js';
import { boot, type Booted } from '../support/app.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { race } from '../support/race.js';
import { CHALLENGE, WEB_CALLBACK, oauthAt } from './flows.js';

const SCOPE = 'openid offline_access';

/** Creates a consent of bob for `web` and an authorization code of it, without the pages. */
async function makeCode(provider: Provider): Promise<{ code: string; grantId: string }> {
  const client = (await provider.Client.find('web'))!;
  const grant = new provider.Grant({ accountId: 'bob', clientId: 'web' });
  grant.addOIDCScope(SCOPE);
  const grantId = await grant.save();
  const code = new provider.AuthorizationCode({
    accountId: 'bob',
    client,
    grantId,
    redirectUri: WEB_CALLBACK,
    scope: SCOPE,
    codeChallenge: CHALLENGE,
    codeChallengeMethod: 'S256',
  } as never);
  return { code: await code.save(), grantId };
}

describe('the storage of the authorization server', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let provider: Provider;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    provider = await booted.app.get(OidcProviderService).provider();
  });
  afterAll(() => booted.close());

  const records = (kind: string) => booted.app.get(AdapterFactory).create(kind);

  it('does not restore used or ended records by a late write', async () => {
    const [used, ended] = [records('RefreshToken'), records('Session')];
    await used.upsert('used', { jti: 'used', scope: 'a' }, 60);
    await used.consume('used');
    await used.upsert('used', { jti: 'used', scope: 'b' }, 60);
    expect(await used.find('used')).toMatchObject({ scope: 'a', consumed: expect.any(Number) });
    await ended.upsert('ended', { jti: 'ended', uid: 'u' }, 60);
    await ended.destroy('ended');
    await ended.upsert('ended', { jti: 'ended', uid: 'u' }, 60);
    expect([await ended.find('ended'), await ended.findByUid('u')]).toEqual([undefined, undefined]);
    await ended.upsert('another', { jti: 'another', uid: 'u' }, 60);
    expect(await ended.findByUid('u')).toMatchObject({ jti: 'another' });
  });

  it('stores no access token for a consent that has ended meanwhile', async () => {
    const { code, grantId } = await makeCode(provider);
    const redeemed = await oauth.redeem(code);
    expect(await oauth.introspect(redeemed.body.access_token, 'web')).toMatchObject({ active: true });
    await booted.db.transaction((manager) => revokeGrant(manager, grantId));
    expect(await booted.db.manager.countBy(AccessToken, { grantId })).toBe(0);
    const late = { jti: 'late', kind: 'AccessToken', accountId: 'bob', clientId: 'web', grantId };
    await records('AccessToken').upsert('late', late, 60);
    expect(await booted.db.manager.countBy(AccessToken, { grantId })).toBe(0);
    expect(await oauth.introspect('late', 'web')).toEqual({ active: false });
  });

  it('ends a consent with its codes and tokens in one transaction', async () => {
    const { code, grantId } = await makeCode(provider);
    const failing = booted.db.transaction(async (manager) => {
      await revokeGrant(manager, grantId);
      throw new Error('and then it failed');
    });
    await expect(failing).rejects.toThrow('and then it failed');
    const { status, body } = await oauth.redeem(code);
    expect(status).toBe(200);
    await booted.db.transaction((manager) => revokeGrant(manager, grantId));
    expect((await oauth.refresh(body.refresh_token)).body.error).toBe('invalid_grant');
    expect(await oauth.introspect(body.access_token, 'web')).toEqual({ active: false });
  });

  it('reads records encrypted with the previous APP_SECRET only while it is configured', async () => {
    const [old, next] = ['o'.repeat(32), 'n'.repeat(32)];
    const under = (env: Record<string, string>) =>
      new RecordAdapter('RefreshToken', booted.db, new SecretBox(Settings.from(env), 'oauth records'));
    await under({ APP_SECRET: old }).upsert('sealed', { jti: 'sealed' }, 60);
    expect(await under({ APP_SECRET: next, APP_SECRET_PREVIOUS: old }).find('sealed')).toEqual({
      jti: 'sealed',
    });
    expect(await under({ APP_SECRET: next }).find('sealed')).toBeUndefined();
  });

  it('deletes expired records', async () => {
    const { manager } = booted.db;
    await records('AuthorizationCode').upsert('old', { jti: 'old' }, -1);
    await records('RegistrationAccessToken').upsert('over', { jti: 'over' }, undefined);
    await records('RegistrationAccessToken').destroy('over');
    await records('RegistrationAccessToken').upsert('kept', { jti: 'kept' }, undefined);
    const before = await manager.count(OauthRecord);
    await booted.app.get(OauthRecords).cleanUp();
    expect(await manager.count(OauthRecord)).toBe(before - 2);
    expect(await records('RegistrationAccessToken').find('kept')).toMatchObject({ jti: 'kept' });
  });

  describe('on two servers', () => {
    let processes: Processes;
    let made: Provider;
    beforeAll(async () => {
      processes = await startProcesses(2);
      made = await processes.app.get(OidcProviderService).provider();
    });
    afterAll(() => processes.stop());

    it('accepts exactly one of 20 concurrent redemptions of a code, and revokes its tokens', async () => {
      let won = '';
      const grants: string[] = [];
      const unfair = await race({
        origins: processes.origins,
        make: async () => {
          const { code, grantId } = await makeCode(made);
          grants.push(grantId);
          return code;
        },
        use: async (origin, code) => {
          const { status, body } = await oauthAt(origin).redeem(code);
          if (status === 200) won = body.refresh_token;
          return status === 200;
        },
      });
      expect(unfair).toEqual([]);
      expect((await oauthAt(processes.origins[0]!).refresh(won)).body.error).toBe('invalid_grant');
      for (const grantId of grants)
        expect(await processes.db.manager.countBy(AccessToken, { grantId })).toBe(0);
    }, 300_000);

    it('accepts exactly one of 20 concurrent refreshes, and revokes the token family', async () => {
      const grants: string[] = [];
      const unfair = await race({
        origins: processes.origins,
        make: async () => {
          const { code, grantId } = await makeCode(made);
          grants.push(grantId);
          return (await oauthAt(processes.origins[0]!).redeem(code)).body.refresh_token as string;
        },
        use: async (origin, token) => (await oauthAt(origin).refresh(token)).status === 200,
      });
      expect(unfair).toEqual([]);
      for (const grantId of grants)
        expect(await processes.db.manager.countBy(AccessToken, { grantId })).toBe(0);
    }, 300_000);
  });
});
