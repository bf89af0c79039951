import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { challengePattern, contractOf, send } from '../support/contracts.js';
import type { Contract, Credential } from '../method.contract.js';

const NAMES = ['mtls', 'jwt', 'hmac'];

/** Sends a request with several credentials at once. */
const together = (...credentials: Credential[]): Credential => {
  const over = credentials.find((each) => each.fetch)?.fetch;
  return {
    sign: async (request) => {
      let signed = request;
      for (const { sign } of credentials) signed = await sign(signed);
      return signed;
    },
    revoke: async () => {},
    ...(over && { fetch: over }),
  };
};

it.each(NAMES)('without %s, has no route that requires it', async (missing) => {
  const booted = await boot({ methods: INSTALLED_METHODS.filter(({ name }) => name !== missing) });
  const { paths } = (await client(booted.origin).get('/openapi.json')).body;
  const left = ['/demo/all-of', '/demo/any-of'].filter((path) => path in paths);
  const rest = INSTALLED_METHODS.filter(({ name }) => name !== missing && NAMES.includes(name)).length === 2;
  expect(left).toEqual(rest && missing === 'hmac' ? ['/demo/all-of'] : []);
  await booted.close();
});

if (NAMES.every((name) => INSTALLED_METHODS.some((method) => method.name === name)))
  describe('a route that requires several methods', () => {
    let booted: Booted;
    let contracts: Record<string, Contract>;
    beforeAll(async () => {
      booted = await boot();
      contracts = Object.fromEntries(
        await Promise.all(NAMES.map(async (name) => [name, await contractOf(name)] as const)),
      );
    });
    afterAll(() => booted.close());

    const issue = (name: string, userId = 'bob') => contracts[name]!.issue(booted, userId);
    const ask = async (route: string, ...credentials: Credential[]) => {
      const response = await send(together(...credentials), `${booted.origin}/demo/${route}`);
      const body = await response.json();
      return {
        status: response.status,
        code: body.code,
        detail: body.detail,
        challenge: response.headers.get('www-authenticate'),
        proofs: body.proofs?.map(({ method }: { method: string }) => method),
        scopes: body.scopes,
      };
    };
    const asksFor = (...names: string[]) =>
      expect.stringMatching(challengePattern(names.map((name) => contracts[name]!.challenge).join(', ')));

    it('all of: accepts every credential together, with the proofs in the order of the route', async () => {
      const answer = await ask('all-of', await issue('jwt'), await issue('mtls'));
      expect(answer).toMatchObject({ status: 200, proofs: ['mtls', 'jwt'] });
    });

    it('all of: names and challenges only the missing method', async () => {
      const refused = { status: 401, code: 'unauthenticated' };
      const nobody = await client(booted.origin).get('/demo/all-of');
      expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, asksFor('mtls', 'jwt')]);
      expect(await ask('all-of', await issue('mtls'))).toMatchObject({
        ...refused,
        detail: 'This route also requires: jwt.',
        challenge: asksFor('jwt'),
      });
      expect(await ask('all-of', await issue('jwt'))).toMatchObject({
        ...refused,
        detail: 'This route also requires: mtls.',
        challenge: asksFor('mtls'),
      });
    });

    it('all of: rejects one invalid credential whatever the other is', async () => {
      const jwt = await issue('jwt');
      await jwt.revoke();
      expect(await ask('all-of', await issue('mtls'), jwt)).toMatchObject({
        status: 401,
        code: 'invalid_token',
      });
      const mtls = await issue('mtls');
      await mtls.revoke();
      expect((await ask('all-of', mtls, await issue('jwt'))).status).toBe(401);
    });

    it('all of: rejects credentials of different accounts', async () => {
      const answer = await ask('all-of', await issue('mtls', 'alice'), await issue('jwt', 'bob'));
      expect(answer).toMatchObject({
        status: 401,
        code: 'different_accounts',
        challenge: asksFor('mtls', 'jwt'),
      });
    });

    it('any of: accepts one method alone or both of the others', async () => {
      expect(await ask('any-of', await issue('hmac'))).toMatchObject({ status: 200, proofs: ['hmac'] });
      const both = await ask('any-of', await issue('mtls'), await issue('jwt'));
      expect(both).toMatchObject({ status: 200, proofs: ['mtls', 'jwt'] });
    });

    it('any of: half of a way is no way, and the answer names every way', async () => {
      const nobody = await client(booted.origin).get('/demo/any-of');
      expect(nobody.headers.get('www-authenticate')).toEqual(asksFor('hmac', 'mtls', 'jwt'));
      expect((await ask('any-of', await issue('jwt'))).status).toBe(401);
    });

    it('any of: one credential more than a way takes is ambiguous', async () => {
      const { sign } = await issue('hmac');
      const signed = await sign(new Request(`${booted.origin}/demo/any-of`, { headers: as({ id: 'bob' }) }));
      const answer = await fetch(signed);
      expect([answer.status, (await answer.json()).code]).toEqual([400, 'ambiguous_credentials']);
    });

    it('the certificate of a connection yields to a signature on it', async () => {
      const answer = await ask('any-of', await issue('mtls', 'alice'), await issue('hmac', 'bob'));
      expect(answer).toMatchObject({ status: 200, proofs: ['hmac'] });
    });

    it('the OpenAPI document says the same: every requirement in one object, every way in one of its own', async () => {
      const { paths } = (await client(booted.origin).get('/openapi.json')).body;
      expect(paths['/demo/all-of'].get.security).toEqual([{ mtls: [], jwt: [] }]);
      expect(paths['/demo/any-of'].get.security).toEqual([{ hmac: [] }, { mtls: [], jwt: [] }]);
    });
  });
