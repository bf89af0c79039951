import { describe, expect, it } from '@jest/globals';
import { DEMO_SECRET } from '../../src/config/demo-settings.js';
import { GUESSABLE } from '../../src/config/secret-strength.js';
import { InvalidSettings, Settings } from '../../src/config/settings.js';
import { RANDOM_SECRET } from '../support/app.js';

const DATABASE_URL = 'postgres://u:p@db/atlas';
const PRODUCTION = {
  NODE_ENV: 'production',
  APP_SECRET: RANDOM_SECRET,
  PUBLIC_URL: 'https://api.atlas.test',
};

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    Settings.from(environment);
    return [];
  } catch (error) {
    if (error instanceof InvalidSettings) return error.errors;
    throw error;
  }
}

describe('settings', () => {
  it('have a default for each setting outside production', () => {
    expect(Settings.from({})).toMatchObject({
      production: false,
      port: 3000,
      host: '127.0.0.1',
      publicUrl: 'http://localhost:3000',
      httpAdapter: 'fastify',
      trustProxy: [],
      dataDir: 'data',
      databaseUrl: undefined,
      demo: true,
      appSecret: DEMO_SECRET,
      redisUrl: undefined,
      rateLimits: { perAddress: 6_000, perCredential: 3_000, badCredentials: 100 },
    });
  });

  it('come from the environment', () => {
    const settings = Settings.from({
      ...PRODUCTION,
      PORT: '8080',
      HOST: '::',
      HTTP_ADAPTER: 'express',
      TRUST_PROXY: '10.0.0.0/8, 192.0.2.1 ,2001:db8::/32,fd00::/8',
      DATABASE_URL,
      REDIS_URL: 'rediss://:p@cache:6380/1',
      RATE_LIMIT_PER_ADDRESS: '60',
      RATE_LIMIT_PER_CREDENTIAL: '30',
      RATE_LIMIT_BAD_CREDENTIALS: '5',
    });
    expect(settings).toMatchObject({
      production: true,
      port: 8080,
      host: '::',
      publicUrl: 'https://api.atlas.test',
      httpAdapter: 'express',
      trustProxy: ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', 'fd00::/8'],
      databaseUrl: 'postgres://u:p@db/atlas',
      demo: false,
      appSecret: RANDOM_SECRET,
      redisUrl: 'rediss://:p@cache:6380/1',
      rateLimits: { perAddress: 60, perCredential: 30, badCredentials: 5 },
    });
  });

  it('say which peers are trusted proxies', () => {
    const settings = Settings.from({ TRUST_PROXY: '10.0.0.0/8,192.0.2.1,2001:db8::/32' });
    for (const address of ['10.255.0.1', '192.0.2.1', '2001:db8::1', '::ffff:10.0.0.1'])
      expect([address, settings.trusts(address)]).toEqual([address, true]);
    for (const address of ['11.0.0.1', '192.0.2.2', '2001:db9::1', '', 'localhost', undefined])
      expect([address, settings.trusts(address)]).toEqual([address, false]);
    expect(Settings.from({}).trusts('127.0.0.1')).toBe(false);
  });

  it('accept only the authority of PUBLIC_URL in production, and any authority elsewhere', () => {
    const production = Settings.from(PRODUCTION);
    for (const authority of ['api.atlas.test', 'API.atlas.test:3443'])
      expect([authority, production.answersTo(authority)]).toEqual([authority, true]);
    for (const authority of [
      'staging.atlas.test',
      'api.atlas.test.evil.test',
      'api.atlas.test@evil.test',
      '',
      ':',
    ])
      expect([authority, production.answersTo(authority)]).toEqual([authority, false]);
    expect(Settings.from({}).answersTo('anything')).toBe(true);
  });

  it.each([
    [{}, ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000']],
    [{ PORT: '80' }, ['http://localhost', 'http://127.0.0.1', 'http://[::1]']],
    [
      { PORT: '8080', PUBLIC_URL: 'https://dev.atlas.test/' },
      ['https://dev.atlas.test', 'http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080'],
    ],
  ])('%j accepts the public URL and the loopback origins of its port in development', (environment, own) => {
    const settings = Settings.from(environment);
    for (const origin of own) expect([origin, settings.isOwnOrigin(origin)]).toEqual([origin, true]);
    for (const origin of [
      'http://localhost:3001',
      'https://localhost:3000',
      'http://127.0.0.2:3000',
      'http://LOCALHOST:3000',
      'http://localhost:3000/',
      'http://localhost:3000.evil.test',
      'http://localhost.evil.test:3000',
      'https://evil.test',
      'null',
      '',
    ])
      expect([origin, settings.isOwnOrigin(origin)]).toEqual([origin, false]);
  });

  it('accept only the public URL as an origin in production', () => {
    const production = Settings.from(PRODUCTION);
    expect(production.isOwnOrigin('https://api.atlas.test')).toBe(true);
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000'])
      expect([origin, production.isOwnOrigin(origin)]).toEqual([origin, false]);
  });

  it('treat an empty variable as unset', () => {
    expect(faultsOf({ PORT: '', APP_SECRET: '', TRUST_PROXY: '' })).toEqual([]);
  });

  it('ignore the variables of other programs', () => {
    expect(faultsOf({ PATH: '/bin', HOSTNAME: 'x', HOME: '/', POST: '1', npm_config_port: '1' })).toEqual([]);
  });

  it.each([
    [{ NODE_ENV: 'prod' }, ['NODE_ENV must be development, production or test.']],
    [{ PORT: 'http' }, ['PORT must be a port number.']],
    [{ PORT: '65536' }, ['PORT must be a port number.']],
    [{ PORT: '-1' }, ['PORT must be a port number.']],
    [{ PORT: '0x50' }, ['PORT must be a port number.']],
    [{ PORT: ' 80' }, ['PORT must be a port number.']],
    [{ HTTP_ADAPTER: 'koa' }, ['HTTP_ADAPTER must be fastify or express.']],
    [{ DEMO: 'yes' }, ['DEMO must be true or false.']],
    [{ PUBLIC_URL: 'api.atlas.test' }, ['PUBLIC_URL must be an origin, as https://api.example.com.']],
    [{ PUBLIC_URL: 'ftp://api.atlas.test' }, ['PUBLIC_URL must be an origin, as https://api.example.com.']],
    [{ PUBLIC_URL: 'https://a.test/path' }, ['PUBLIC_URL must be an origin, as https://api.example.com.']],
    [{ PUBLIC_URL: 'https://u:p@a.test' }, ['PUBLIC_URL must be an origin, as https://api.example.com.']],
    [{ DATABASE_URL: 'mysql://u:hunter2@db' }, ['DATABASE_URL must be a URL that begins with postgres://.']],
    [{ DATABASE_URL: 'hunter2' }, ['DATABASE_URL must be a URL that begins with postgres://.']],
    [{ REDIS_URL: 'http://cache' }, ['REDIS_URL must be a URL that begins with redis:// or rediss://.']],
    [
      { RATE_LIMIT_PER_ADDRESS: '0' },
      ['RATE_LIMIT_PER_ADDRESS must be a number of requests per minute, as 600.'],
    ],
    [
      { RATE_LIMIT_PER_CREDENTIAL: '1e3' },
      ['RATE_LIMIT_PER_CREDENTIAL must be a number of requests per minute, as 600.'],
    ],
    [
      { RATE_LIMIT_BAD_CREDENTIALS: '-1' },
      ['RATE_LIMIT_BAD_CREDENTIALS must be a number of requests per minute, as 600.'],
    ],
    [{ APP_SECRET: 'hunter2' }, [expect.stringMatching(/^APP_SECRET must have at least 32 characters/)]],
    [{ APP_SECRETS: 'x' }, ['APP_SECRETS is not a setting; APP_SECRET is.']],
    [{ DATABASE_URI: 'x' }, ['DATABASE_URI is not a setting; DATABASE_URL is.']],
    [{ TRUSTED_PROXY: 'x' }, ['TRUSTED_PROXY is not a setting; TRUST_PROXY is.']],
  ])('%j is one sentence for each fault', (environment, faults) => {
    expect(faultsOf(environment as never)).toEqual(faults);
  });

  it('report all errors at once and never repeat a value', () => {
    const faults = faultsOf({
      PORT: 'hunter2',
      DEMO: 'hunter2',
      TRUST_PROXY: 'hunter2',
      DATABASE_URL: 'hunter2',
    });
    expect(faults).toHaveLength(4);
    expect(faults.join()).not.toContain('hunter2');
    for (const fault of faults) expect(fault).toMatch(/^[A-Z_]+ [^.]+.*\.$/);
    expect(new InvalidSettings(faults).message.split('\n')).toHaveLength(5);
  });

  it.each([
    [{}, true],
    [{ HOST: 'localhost' }, true],
    [{ HOST: '::1' }, true],
    [{ HOST: '127.0.0.2', DATA_DIR: ':memory:' }, true],
    [{ DEMO: 'false' }, false],
    [{ NODE_ENV: 'test', DATABASE_URL, DEMO: 'true' }, true],
    [{ DATABASE_URL, APP_SECRET: RANDOM_SECRET }, false],
    [{ HOST: '0.0.0.0', APP_SECRET: RANDOM_SECRET }, false],
    [{ HOST: '::', APP_SECRET: RANDOM_SECRET }, false],
    [{ HOST: 'api.atlas.test', APP_SECRET: RANDOM_SECRET }, false],
    [{ ...PRODUCTION, HOST: '127.0.0.1' }, false],
  ])('%j has the demo: %j', (environment, demo) => {
    expect(Settings.from(environment as never).demo).toBe(demo);
  });

  it('accept the published secret for the embedded database, or an explicit demo, on loopback only', () => {
    const sentence = (name: string, why: string) => [`${name} must be a secret of your own${why}.`];
    const onDatabase = ' with DATABASE_URL, unless DEMO is true';
    const onNetwork = ', because HOST is not a loopback address';
    for (const environment of [{}, { DEMO: 'false' }, { DATABASE_URL, DEMO: 'true' }])
      expect(faultsOf(environment as never)).toEqual([]);
    for (const environment of [{}, { DEMO: 'false' }, { APP_SECRET: DEMO_SECRET }, { NODE_ENV: 'test' }]) {
      expect(faultsOf({ ...environment, DATABASE_URL } as never)).toEqual(sentence('APP_SECRET', onDatabase));
      for (const HOST of [
        '0.0.0.0',
        '::',
        '192.0.2.1',
        '::ffff:192.0.2.1',
        'localhost.atlas.test',
        '127.1.test',
      ])
        expect(faultsOf({ ...environment, HOST } as never)).toEqual(sentence('APP_SECRET', onNetwork));
    }
    const rotated = { APP_SECRET: RANDOM_SECRET, APP_SECRET_PREVIOUS: DEMO_SECRET };
    expect(faultsOf({ ...rotated, DATABASE_URL })).toEqual(sentence('APP_SECRET_PREVIOUS', onDatabase));
    for (const more of [{}, { DATABASE_URL }, { APP_SECRET: RANDOM_SECRET }])
      expect(faultsOf({ DEMO: 'true', HOST: '0.0.0.0', ...more } as never)).toEqual([
        'DEMO must not be true unless HOST is a loopback address.',
      ]);
  });

  describe('attacks', () => {
    it('reject TRUST_PROXY values that include public addresses', () => {
      for (const list of [
        'true',
        '*',
        '1',
        'all',
        'loopback',
        '10.0.0.0/33',
        '10.0.0.0/08',
        '010.0.0.1',
        '10.1',
        '0x0a000001',
        '10.0.0.1,',
        '10.0.0.0/8/8',
        'fe80::1%eth0',
        'proxy.test',
      ])
        expect([list, faultsOf({ TRUST_PROXY: list })]).toEqual([
          list,
          ['TRUST_PROXY must list the addresses or ranges of your proxies, as 10.0.0.0/8.'],
        ]);
      for (const list of [
        '0.0.0.0/0',
        '::/0',
        '10.0.0.1,0.0.0.0/0',
        '0.0.0.0/1,128.0.0.0/1',
        '8.0.0.0/7',
        '::ffff:0:0/96',
        '::/8',
        '::/64',
        '0:0:0:0:0:ffff:0:0/96',
        '2000::/3',
      ])
        expect([list, faultsOf({ TRUST_PROXY: list })]).toEqual([
          list,
          ['TRUST_PROXY must not contain public address ranges.'],
        ]);
    });

    it('reject demo values in production', () => {
      expect(faultsOf(PRODUCTION)).toEqual([]);
      expect(faultsOf({ NODE_ENV: 'production' })).toEqual([
        'APP_SECRET is required in production.',
        'PUBLIC_URL is required in production.',
      ]);
      for (const secret of [DEMO_SECRET, `changeme-${RANDOM_SECRET}`, `EXAMPLE${RANDOM_SECRET}`])
        for (const name of ['APP_SECRET', 'APP_SECRET_PREVIOUS'])
          expect(faultsOf({ ...PRODUCTION, [name]: secret })).toEqual([`${name} ${GUESSABLE}.`]);
      expect(faultsOf({ ...PRODUCTION, PUBLIC_URL: 'http://api.atlas.test' })).toEqual([
        'PUBLIC_URL must begin with https: in production.',
      ]);
      expect(faultsOf({ ...PRODUCTION, DEMO: 'true' })).toEqual(['DEMO must not be true in production.']);
      expect(faultsOf({ ...PRODUCTION, DEMO: 'false' })).toEqual([]);
      expect(faultsOf({ ...PRODUCTION, TRUST_PROXY: '0.0.0.0/0' })).toHaveLength(1);
    });
  });
});
