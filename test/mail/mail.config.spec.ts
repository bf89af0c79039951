import { describe, expect, it } from '@jest/globals';
import { InvalidSettings, Settings } from '../../src/config/settings.js';
import { readMailConfig } from '../../src/mail/mail.config.js';
import { RANDOM_SECRET } from '../support/app.js';

const PRODUCTION = {
  NODE_ENV: 'production',
  APP_SECRET: RANDOM_SECRET,
  PUBLIC_URL: 'https://api.atlas.test',
};
const OWN = { APP_SECRET: RANDOM_SECRET };

const read = (env: Record<string, string>) => readMailConfig(Settings.from(env));
const smtp = (SMTP_URL: string, env: Record<string, string> = PRODUCTION) => {
  const config = read({ ...env, SMTP_URL });
  return config.transport === 'smtp' ? config.smtp : undefined;
};
function faultsOf(env: Record<string, string>): string {
  try {
    read(env);
    return '';
  } catch (error) {
    if (error instanceof InvalidSettings) return error.errors.join('\n');
    throw error;
  }
}

describe('the mail settings', () => {
  it('show mails to a developer on this computer only', () => {
    expect(read({})).toEqual({ transport: 'mailbox' });
    expect(read({ ...OWN, DATABASE_URL: 'postgres://u:p@db/atlas' })).toEqual({ transport: 'mailbox' });
    expect(read({ ...OWN, PUBLIC_URL: 'https://api.atlas.test' })).toEqual({ transport: 'mailbox' });
    for (const env of [
      PRODUCTION,
      { ...OWN, HOST: '0.0.0.0' },
      { ...OWN, PUBLIC_URL: 'https://api.atlas.test', DEMO: 'false' },
      { ...OWN, PUBLIC_URL: 'https://api.atlas.test', DATABASE_URL: 'postgres://u:p@db/atlas' },
    ])
      expect(read(env)).toEqual({ transport: 'none' });
  });

  it('name the mail server, its port and the credentials', () => {
    expect(smtp('smtps://mail.example.com')).toEqual({
      host: 'mail.example.com',
      port: 465,
      implicitTls: true,
      requireTls: true,
      credentials: undefined,
      from: 'no-reply@api.atlas.test',
    });
    expect(smtp('smtp://atlas%40example.com:p%3A%2Fs@mail.example.com:2525/')).toMatchObject({
      port: 2525,
      implicitTls: false,
      credentials: { user: 'atlas@example.com', pass: 'p:/s' },
    });
    expect(smtp('smtp://mail.example.com')?.port).toBe(587);
    expect(smtp('smtp://[2001:db8::1]')?.host).toBe('2001:db8::1');
    expect(smtp('smtp://mail.example.com', { ...PRODUCTION, MAIL_FROM: 'accounts@example.com' })?.from).toBe(
      'accounts@example.com',
    );
  });

  it('require TLS in production, unless the mail server is on this computer', () => {
    expect(smtp('smtp://mail.example.com')?.requireTls).toBe(true);
    expect(smtp('smtp://127.0.0.1.example.com')?.requireTls).toBe(true);
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      expect([host, smtp(`smtp://${host}`)?.requireTls]).toEqual([host, false]);
    expect(smtp('smtp://mailpit:1025', {})?.requireTls).toBe(false);
  });

  it('reject anything else, without the password in the message', () => {
    for (const SMTP_URL of [
      'mail.example.com',
      'http://user:s3cret@mail.example.com',
      'smtp://',
      'smtp://user@mail.example.com',
      'smtp://:s3cret@mail.example.com',
      'smtp://user:s3cret%@mail.example.com',
      'smtp://user:s3cret@mail.example.com?tls.rejectUnauthorized=false',
      'smtp://user:s3cret@mail.example.com#x',
      'smtp://user:s3cret@mail.example.com/path',
      'smtp://user:s3cret@mail.example.com:99999',
    ]) {
      const faults = faultsOf({ ...PRODUCTION, SMTP_URL });
      expect(faults).toMatch(/^SMTP_URL must be a URL as smtps:/);
      expect(faults).not.toContain('s3cret');
    }
    for (const MAIL_FROM of ['Atlas <a@example.com>', 'a@example.com\r\nBcc: b@example.com', 'a', 'a@b@c'])
      expect(faultsOf({ ...PRODUCTION, MAIL_FROM })).toMatch(/^MAIL_FROM must be an address/);
  });
});
