import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { mailsTo } from '../accounts/mails.js';
import { boot, client, type Booted } from '../support/app.js';
import { testIssuer, withTestToken } from '../support/test-issuer.js';
import * as password from '../../src/methods/password/index.js';

describe('mails about passwords', () => {
  let booted: Booted;
  beforeAll(async () => {
    booted = await boot({ methods: [password, testIssuer], env: { TRUST_PROXY: '127.0.0.1' } });
  });
  afterAll(() => booted.close());

  const logIn = async (username: string, ip: string) => {
    const credentials = { username, password: DEMO_PASSWORD, as: 'test-issuer' };
    const headers = { 'X-Forwarded-For': ip, 'User-Agent': 'curl/8.5' };
    return (await client(booted.origin).post('/auth/login', credentials, headers)).body.test_token as string;
  };
  const subjects = async (username: string) =>
    (await mailsTo(booted, `${username}@acme.example`)).map(({ subject }) => subject);

  it('report a sign-in from a new network, with its address and program', async () => {
    await logIn('bob', '192.0.2.1');
    expect(await subjects('bob')).toEqual([]);
    await logIn('bob', '198.51.100.1');
    const [mail] = await mailsTo(booted, 'bob@acme.example');
    expect(mail!.subject).toBe('Auth Atlas: new sign-in');
    expect(mail!.text).toContain('\nAddress: 198.51.100.1\nProgram: curl/8.5\n');
  });

  it('report a changed password, and no rejected change', async () => {
    const carol = client(booted.origin, withTestToken(await logIn('carol', '192.0.2.1')));
    const change = (current_password: string) =>
      carol.post('/auth/password', { current_password, new_password: 'seventeen purple kettles' });
    expect((await change('incorrect')).status).toBe(403);
    expect(await subjects('carol')).toEqual([]);
    expect((await change(DEMO_PASSWORD)).status).toBe(200);
    expect(await subjects('carol')).toEqual(['Auth Atlas: password changed']);
  });
});
