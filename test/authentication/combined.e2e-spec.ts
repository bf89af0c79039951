import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { challengePattern, contractOf, send } from '../support/contracts.js';
import type { Contract, Credential } from '../method.contract.js';

const NAMES = ['mtls', 'jwt', 'hmac'];

/** Sends a request with several credentials at once. */
const together = (...credentials: Credential[]): Credential => {
  const ownFetch = credentials.find((each) => each.fetch)?.fetch;
  return {
    sign: async (request) => {
      let signed = request;
      for (const { sign } of credentials) signed = await sign(signed);
      return signed;
    },
    revoke: async () => {},
    ...(ownFetch && { fetch: ownFetch }),
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
    const call = async (route: string, ...credentials: Credential[]) => {
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
    const challengesOf = (...names: string[]) =>
      expect.stringMatching(challengePattern(names.map((name) => contracts[name]!.challenge).join(', ')));

    it('allOf: accepts every credential together, with the proofs in the order of the route', async () => {
      const response = await call('all-of', await issue('jwt'), await issue('mtls'));
      expect(response).toMatchObject({ status: 200, proofs: ['mtls', 'jwt'] });
    });

    it('allOf: names and challenges only the missing method', async () => {
      const rejected = { status: 401, code: 'unauthenticated' };
      const anonymous = await client(booted.origin).get('/demo/all-of');
      expect([anonymous.status, anonymous.headers.get('www-authenticate')]).toEqual([
        401,
        challengesOf('mtls', 'jwt'),
      ]);
      expect(await call('all-of', await issue('mtls'))).toMatchObject({
        ...rejected,
        detail: 'This route also requires: jwt.',
        challenge: challengesOf('jwt'),
      });
      expect(await call('all-of', await issue('jwt'))).toMatchObject({
        ...rejected,
        detail: 'This route also requires: mtls.',
        challenge: challengesOf('mtls'),
      });
    });

    it('allOf: rejects an invalid credential beside a valid one', async () => {
      const jwt = await issue('jwt');
      await jwt.revoke();
      expect(await call('all-of', await issue('mtls'), jwt)).toMatchObject({
        status: 401,
        code: 'invalid_token',
      });
      const mtls = await issue('mtls');
      await mtls.revoke();
      expect((await call('all-of', mtls, await issue('jwt'))).status).toBe(401);
    });

    it('allOf: rejects credentials of different accounts', async () => {
      const response = await call('all-of', await issue('mtls', 'alice'), await issue('jwt', 'bob'));
      expect(response).toMatchObject({
        status: 401,
        code: 'different_accounts',
        challenge: challengesOf('mtls', 'jwt'),
      });
    });

    it('anyOf: accepts one method alone or both of the others', async () => {
      expect(await call('any-of', await issue('hmac'))).toMatchObject({ status: 200, proofs: ['hmac'] });
      const both = await call('any-of', await issue('mtls'), await issue('jwt'));
      expect(both).toMatchObject({ status: 200, proofs: ['mtls', 'jwt'] });
    });

    it('anyOf: rejects one method of a pair, and challenges with every alternative', async () => {
      const anonymous = await client(booted.origin).get('/demo/any-of');
      expect(anonymous.headers.get('www-authenticate')).toEqual(challengesOf('hmac', 'mtls', 'jwt'));
      expect((await call('any-of', await issue('jwt'))).status).toBe(401);
    });

    it('anyOf: responds 400 to one explicit credential more than an alternative takes', async () => {
      const { sign } = await issue('hmac');
      const signed = await sign(new Request(`${booted.origin}/demo/any-of`, { headers: as({ id: 'bob' }) }));
      const response = await fetch(signed);
      expect([response.status, (await response.json()).code]).toEqual([400, 'ambiguous_credentials']);
    });

    it('anyOf: prefers a signature to the certificate of its connection', async () => {
      const response = await call('any-of', await issue('mtls', 'alice'), await issue('hmac', 'bob'));
      expect(response).toMatchObject({ status: 200, proofs: ['hmac'] });
    });

    it('is documented in OpenAPI: allOf as one security requirement, anyOf as one per alternative', async () => {
      const { paths } = (await client(booted.origin).get('/openapi.json')).body;
      expect(paths['/demo/all-of'].get.security).toEqual([{ mtls: [], jwt: [] }]);
      expect(paths['/demo/any-of'].get.security).toEqual([{ hmac: [] }, { mtls: [], jwt: [] }]);
    });
  });
