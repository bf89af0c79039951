import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { KnownNetwork } from '../../src/accounts/known-network.entity.js';
import { NoticesService } from '../../src/accounts/notices.service.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { SECURITY_NOTICES } from '../../src/authentication/ports.js';
import { requestContext, RequestContext } from '../../src/http/request-context.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { boot, client, type Booted } from '../support/app.js';
import { mailsTo } from './mails.js';

const ALICE = 'alice@acme.example';

describe('mails about security events', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());
  beforeEach(() => booted.db.manager.deleteAll(KnownNetwork));

  const notices = () => booted.app.get(NoticesService, { strict: false });
  /** Runs `work` as a request from an address would. */
  const from = (ip: string, work: () => void, userAgent?: string) =>
    requestContext.run(new RequestContext({ ip, secure: false, isForwarded: false }, userAgent), work);
  const signIn = async (ip: string) => {
    from(ip, () => notices().signedIn('alice'));
    await notices().flush();
  };
  const newDevices = async () =>
    (await mailsTo(booted, ALICE)).filter(({ subject }) => subject.endsWith('new sign-in')).length;

  it.each(SECURITY_NOTICES)('are sent to the verified address: %s', async (notice) => {
    from('192.0.2.7', () => notices().send('alice', notice), 'curl/8.5');
    const [mail] = await mailsTo(booted, ALICE);
    expect(mail).toMatchObject({ to: ALICE, subject: expect.stringMatching(/^Auth Atlas: \w/) });
    expect(mail!.text).toMatch(/^Hello alice,\n\n/);
    expect(mail!.text).toMatch(
      /^Time: \d{4}-\d\d-\d\dT[\d:.]+Z\nAddress: 192\.0\.2\.7\nProgram: curl\/8\.5$/m,
    );
    expect(mail!.text).toContain('If it was not you');
    expect(mail!.text).not.toMatch(/https?:|token/);
  });

  it('contain a foreign user agent without control characters and other alphabets, and cut', async () => {
    const agent = `a\r\n\r\nOpen \u202ehttps://evil.example \u0430${'x'.repeat(900)}`;
    from('192.0.2.7', () => notices().send('alice', 'password_changed'), agent);
    const [mail] = await mailsTo(booted, ALICE);
    const [line = ''] = /^Program: .*$/m.exec(mail!.text) ?? [];
    expect(line).toMatch(/^Program: aOpen https:\/\/evil\.example x+$/);
    expect(line.length).toBe('Program: '.length + 200);
  });

  it('are not sent to an address that is not verified, or to an account without one', async () => {
    await booted.db.manager.update(UserEmail, { userId: 'bob' }, { verifiedAt: null });
    for (const id of ['bob', 'acme-machine', 'unknown'])
      from('192.0.2.7', () => notices().send(id, 'password_changed'));
    expect(await mailsTo(booted, 'bob@acme.example')).toEqual([]);
  });

  it('report a sign-in from a network that the account has not used', async () => {
    const before = await newDevices();
    await signIn('192.0.2.1');
    expect(await newDevices()).toBe(before);
    await signIn('192.0.2.1');
    await signIn('2001:db8::1');
    expect(await newDevices()).toBe(before + 1);
    await signIn('2001:db8::2');
    await signIn('192.0.2.1');
    expect(await newDevices()).toBe(before + 1);
  });

  it('report a sign-in after five failed attempts, once', async () => {
    const login = (password: string) =>
      client(booted.origin).post('/auth/login', { username: 'carol', password, as: 'session' });
    const reports = async () =>
      (await mailsTo(booted, 'carol@acme.example')).filter(({ subject }) =>
        subject.endsWith('sign-in after failed attempts'),
      ).length;
    const recorded = async () =>
      (
        await booted.db.manager.findBy(AuditEvent, {
          event: 'authn_login_successafterfail',
          userId: 'carol',
        })
      ).map(({ details }) => details);
    const fail = async (times: number) => {
      for (let i = 0; i < times; i++) expect((await login('wrong')).status).toBe(401);
    };
    const before = await reports();
    await fail(4);
    expect((await login(DEMO_PASSWORD)).status).toBe(200);
    expect([(await reports()) - before, await recorded()]).toEqual([0, []]);
    await fail(1);
    for (let i = 0; i < 2; i++) expect((await login(DEMO_PASSWORD)).status).toBe(200);
    expect([(await reports()) - before, await recorded()]).toEqual([1, [{ failures: 5 }]]);
  });

  it('report it after any time: the last network of an account is remembered', async () => {
    const before = await newDevices();
    await signIn('192.0.2.1');
    await signIn('192.0.2.2');
    for (const [network, seenAt] of [
      ['192.0.2.1', '2020-01-01'],
      ['192.0.2.2', '2020-01-02'],
    ] as const)
      await booted.db.manager.update(KnownNetwork, { network }, { seenAt: new Date(seenAt) });
    await notices().cleanUp();
    const left = await booted.db.manager.findBy(KnownNetwork, { userId: 'alice' });
    expect(left.map(({ network }) => network)).toEqual(['192.0.2.2']);
    await signIn('192.0.2.1');
    expect(await newDevices()).toBe(before + 2);
  });
});
