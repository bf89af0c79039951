import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  assertPublicAddress,
  outboundRequests,
} from '../../src/authorization-server/provider/http-security.js';
import { RANDOM_SECRET, as, boot, client } from '../support/app.js';

/** Spellings of addresses that a server must not send requests to. A URL parser accepts them all. */
const SPELLINGS = [
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '0177.0.0.1',
  '2130706433',
  '0x7f000001',
  '127.0.0.1.',
  '①②⑦.0.0.1',
  '127。0。0。1',
  '%31%32%37.0.0.1',
  '0',
  '0.0.0.0',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '100.64.0.1',
  '169.254.169.254',
  '[::ffff:169.254.169.254]',
  '[fe80::1]',
  '[fec0::1]',
  '[fd00:ec2::254]',
  '[fc00::1]',
  '192.0.2.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '[ff02::1]',
  '[2001:db8::1]',
];

describe('the server’s own requests to the URLs of clients, in production', () => {
  let requests: string[];
  let status = 200;
  const server = createServer((request, response) => {
    requests.push(request.url!);
    response.writeHead(status, { Location: `http://127.0.0.1:${port()}/target` }).end('{}');
  });
  const port = () => (server.address() as AddressInfo).port;
  beforeAll(() => new Promise<void>((listening) => server.listen(0, listening)));
  afterAll(() => new Promise((closed) => server.close(closed)));
  beforeEach(() => {
    requests = [];
    status = 200;
  });

  const send = (url: string, production = true) => outboundRequests({ production }).fetch!(url, {});

  it.each(SPELLINGS)('are not sent to http://%s', async (host) => {
    await expect(send(`http://${host}:${port()}/`)).rejects.toThrow('is not a public address');
    expect(requests).toEqual([]);
  });

  it.each(['localhost', 'LOCALHOST', 'localhost.'])(
    'are not sent to %s, whose address is known only after DNS',
    async (host) => {
      await expect(send(`http://${host}:${port()}/`)).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/is not a public address|ENOTFOUND/) },
      });
      expect(requests).toEqual([]);
    },
  );

  it('follow no redirect, in development neither', async () => {
    status = 302;
    await expect(send(`http://127.0.0.1:${port()}/`, false)).rejects.toThrow();
    expect(requests).toEqual(['/']);
  });

  it('may be sent to public addresses', () => {
    for (const address of ['93.184.216.34', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])
      expect(() => assertPublicAddress(address)).not.toThrow();
  });

  it('reach this computer in development', async () => {
    expect((await send(`http://localhost:${port()}/`, false)).status).toBe(200);
    expect(requests).toEqual(['/']);
  });
});

describe('the URLs in client metadata', () => {
  const PROPERTIES = [
    'jwks_uri',
    'backchannel_logout_uri',
    'sector_identifier_uri',
    'client_uri',
    'logo_uri',
    'policy_uri',
    'tos_uri',
    'initiate_login_uri',
  ];
  const production = {
    NODE_ENV: 'production',
    APP_SECRET: RANDOM_SECRET,
    PUBLIC_URL: 'https://api.atlas.test',
    TRUST_PROXY: '127.0.0.1',
  };

  it('are public also if an administrator registers them', async () => {
    const booted = await boot({ env: production, logTo: { write: () => {} } });
    const alice = client(booted.origin, {
      ...as({ id: 'alice', roles: ['admin'] }),
      Host: 'api.atlas.test',
      'X-Forwarded-Proto': 'https',
    });
    const register = (more: object) =>
      alice.post('/oauth/clients', { redirect_uris: ['https://app.example/callback'], ...more });
    for (const name of PROPERTIES)
      for (const host of ['localhost', 'metadata.google.internal', 'printer', ...SPELLINGS]) {
        const { status, body } = await register({ [name]: `https://${host}/` });
        expect([name, host, status, body.code]).toEqual([name, host, 422, 'invalid_client_metadata']);
      }
    expect((await alice.get('/oauth/clients')).body.items).toEqual([]);
    expect((await register({ client_uri: 'https://app.example/' })).status).toBe(201);
    await booted.close();
  });
});
