import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { networkInterfaces } from 'node:os';
import { boot, client, type Booted } from '../support/app.js';
import { HttpRoutes, get, parseResponse, sendRaw } from '../support/wire.js';

const PEER = '127.0.0.1';
const CLIENT = '203.0.113.9';

describe('the address and protocol of the client behind a trusted proxy', () => {
  let booted: Booted;
  beforeAll(
    async () =>
      (booted = await boot({
        controllers: [HttpRoutes],
        env: { TRUST_PROXY: '127.0.0.1,10.0.0.0/8,2001:db8:10::/48' },
      })),
  );
  afterAll(() => booted.close());

  const read = async (lines: readonly string[]) =>
    JSON.parse(parseResponse(await sendRaw(booted, get('/http/address', ...lines))).body) as {
      ip: string;
      secure: boolean;
    };
  const ipOf = async (...lines: readonly string[]) => (await read(lines)).ip;
  const isSecure = async (...lines: readonly string[]) => (await read(lines)).secure;

  it.each([
    ['203.0.113.9', CLIENT],
    ['203.0.113.9:20001', CLIENT],
    [' 203.0.113.9 ', CLIENT],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8:0::0:1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['::ffff:203.0.113.9', CLIENT],
    ['::FFFF:cb00:7109', CLIENT],
    ['[::ffff:203.0.113.9]:80', CLIENT],
    ['fe80::1%eth0', 'fe80::1'],
  ])('X-Forwarded-For: %s is %s', async (value, expected) => {
    expect(await ipOf(`X-Forwarded-For: ${value}`)).toBe(expected);
  });

  it.each([
    '',
    ',',
    'unknown',
    'localhost',
    '203.0.113.9:',
    '203.0.113.9:port',
    '203.0.113.9:123456',
    '203.0.113.9 20001',
    '203.0.113',
    '203.0.113.256',
    '0313.0.113.9',
    '0xcb007109',
    '3405803785',
    '[203.0.113.9]',
    '[2001:db8::1',
    '2001:db8::1]:443',
    '[2001:db8::1]x',
    '2001:db8::g',
    '203.0.113.9%eth0',
    '203.0.113.9/32',
    '"203.0.113.9"',
    'for=203.0.113.9',
    "' OR 1=1 --",
  ])('X-Forwarded-For: %s is no address, so the address of the connection counts', async (value) => {
    expect(await ipOf(`X-Forwarded-For: ${value}`)).toBe(PEER);
  });

  it('is the right-most address that is not a trusted proxy', async () => {
    for (const [value, expected] of [
      ['203.0.113.9, 10.0.0.9', CLIENT],
      ['1.1.1.1, 203.0.113.9, 10.0.0.9', CLIENT],
      ['1.1.1.1, 203.0.113.9', CLIENT],
      ['203.0.113.9:1, [2001:db8:10::2]:2,::ffff:10.0.0.9', CLIENT],
      ['garbage, 203.0.113.9', CLIENT],
      ['10.0.0.8, 10.0.0.9', '10.0.0.8'],
      ['203.0.113.9, , 10.0.0.9,', CLIENT],
      [`203.0.113.9${', 10.0.0.9'.repeat(31)}`, CLIENT],
      // More hops are not read.
      [`203.0.113.9${', 10.0.0.9'.repeat(32)}`, PEER],
      ['203.0.113.9, unknown', PEER],
      ['203.0.113.9, unknown, 10.0.0.9', PEER],
    ] as const)
      expect([value, await ipOf(`X-Forwarded-For: ${value}`)]).toEqual([value, expected]);
    expect(
      await ipOf('X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: 203.0.113.9', 'X-Forwarded-For: 10.0.0.9'),
    ).toBe(CLIENT);
  });

  it.each([
    ['for=203.0.113.9', CLIENT],
    ['For="203.0.113.9:4711"', CLIENT],
    ['for=203.0.113.9:4711', CLIENT],
    ['for="203.0.113.9:_port"', CLIENT],
    ['for="[2001:db8:cafe::17]:4711"', '2001:db8:cafe::17'],
    ['FOR="[2001:DB8:cafe::17]"', '2001:db8:cafe::17'],
    ['for="\\203.0.113.9"', CLIENT],
    ['proto=http;for=203.0.113.9;by=10.0.0.9', CLIENT],
    ['by="a,b;c=\\"d" ; for=203.0.113.9', CLIENT],
    ['for=1.1.1.1, for=203.0.113.9;proto=https, for=10.0.0.9', CLIENT],
    ['for=1.1.1.1,for=203.0.113.9, , for="[2001:db8:10::2]:1",', CLIENT],
    // Malformed text of the client on the left does not hide the proxy's element.
    ['for="1.1.1.1, for=203.0.113.9', CLIENT],
    ['for="1.1.1.1, for="[2001:db8::1]:443"', '2001:db8::1'],
    ['=;,for=203.0.113.9', CLIENT],
    // Not an address.
    ['for=unknown', PEER],
    ['for=_hidden', PEER],
    ['for="_gazonk"', PEER],
    ['for=203.0.113.9, for=unknown', PEER],
    ['for=203.0.113.9, for=_hidden, for=10.0.0.9', PEER],
    ['proto=https', PEER],
    ['for=203.0.113.9;for=203.0.113.9', PEER],
    ['for=203.0.113.9 proto=https', PEER],
    ['for="203.0.113.9', PEER],
    ['for=', PEER],
    ['203.0.113.9', PEER],
    ['', PEER],
  ])('Forwarded: %s is %s', async (value, expected) => {
    expect(await ipOf(`Forwarded: ${value}`)).toBe(expected);
  });

  it('joins several Forwarded lines in their order', async () => {
    expect(
      await ipOf('Forwarded: for=1.1.1.1', 'Forwarded: for=203.0.113.9', 'Forwarded: for=10.0.0.9'),
    ).toBe(CLIENT);
    expect(await ipOf('Forwarded: for="', 'Forwarded: for=203.0.113.9')).toBe(CLIENT);
  });

  it('ignores Forwarded beside X-Forwarded-For or X-Forwarded-Proto, and X-Real-IP always', async () => {
    expect(await ipOf('Forwarded: for=1.1.1.1', `X-Forwarded-For: ${CLIENT}`)).toBe(CLIENT);
    expect(await ipOf('Forwarded: for=1.1.1.1', 'X-Forwarded-Proto: https')).toBe(PEER);
    expect(await ipOf('X-Real-IP: 1.1.1.1')).toBe(PEER);
  });

  it('is HTTPS if the proxy next to the client says so', async () => {
    for (const [expected, ...lines] of [
      [true, 'X-Forwarded-Proto: https'],
      [true, 'X-Forwarded-Proto: HTTPS'],
      [true, 'X-Forwarded-Proto: http, https'],
      [true, 'X-Forwarded-Proto: http', 'X-Forwarded-Proto: https'],
      [true, 'X-Forwarded-Proto: https', `X-Forwarded-For: ${CLIENT}, 10.0.0.9`],
      [true, 'X-Forwarded-Proto: https, http', `X-Forwarded-For: ${CLIENT}, 10.0.0.9`],
      [true, 'Forwarded: for=203.0.113.9;proto=HTTPS'],
      [true, 'Forwarded: for=203.0.113.9;proto="https", for=10.0.0.9;proto=http'],
      [true, 'Forwarded: for=unknown;proto=https'],
      [false, 'X-Forwarded-Proto: http'],
      [false, 'X-Forwarded-Proto: https, http'],
      [false, 'X-Forwarded-Proto: https, http', `X-Forwarded-For: ${CLIENT}`],
      [false, 'X-Forwarded-Proto: http, https', `X-Forwarded-For: ${CLIENT}, 10.0.0.9`],
      [false, 'X-Forwarded-Proto: https, wss'],
      [false, 'X-Forwarded-Proto: "https"'],
      [false, 'X-Forwarded-Proto: '],
      [false, 'Forwarded: for=203.0.113.9;proto=https, for=1.1.1.1;proto=http'],
      [false, 'Forwarded: for=203.0.113.9;proto=https', 'X-Forwarded-Proto: http'],
      [false, `X-Forwarded-For: ${CLIENT}`],
    ] as const)
      expect([lines, await isSecure(...lines)]).toEqual([lines, expected]);
  });

  it('is that of the connection if the peer is not a trusted proxy', async () => {
    const direct = await boot({ controllers: [HttpRoutes] });
    const addressWith = async (headers: Record<string, string>) =>
      (await client(direct.origin, headers).get('/http/address')).body as object;
    const own = { ip: PEER, secure: false };
    expect(await addressWith({ 'X-Forwarded-For': CLIENT, 'X-Forwarded-Proto': 'https' })).toEqual(own);
    expect(await addressWith({ Forwarded: `for=${CLIENT};proto=https` })).toEqual(own);
    await direct.close();
  });

  const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ family }) => family === 'IPv6'),
  );
  (hasIPv6 ? it : it.skip)('is one spelling of an address of the connection', async () => {
    // An IPv4 client of a listener for both families has an IPv4-mapped address.
    const both = await boot({ controllers: [HttpRoutes], listenOn: '::' });
    expect((await client(both.origin).get('/http/address')).body.ip).toBe(PEER);
    await both.close();
  });
});
