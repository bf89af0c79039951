import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, HttpCode, Post } from '@nestjs/common';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Public } from '../../src/authentication/plan.js';
import { ExcludeFromOpenApi } from '../../src/authentication/describe.js';
import type { SmtpConfig } from '../../src/mail/mail.config.js';
import { MailService } from '../../src/mail/mail.service.js';
import { RANDOM_SECRET, boot, client, type Booted } from '../support/app.js';
import { Server } from '../support/processes.js';
import { localhostIdentity, startSmtpServer, type TestSmtpServer } from '../support/smtp.js';

const MAIL = { to: 'alice@acme.example', subject: 'Sign in', text: 'The code is 123456.\n' };

@Controller('notify')
@Public()
@ExcludeFromOpenApi()
class Notify {
  constructor(private readonly mail: MailService) {}

  @Post()
  @HttpCode(202)
  notify(): void {
    this.mail.send(MAIL);
  }
}

describe('mails to an SMTP server', () => {
  const open: { close: () => Promise<void> }[] = [];
  let log = '';
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
    log = '';
  });

  const server = async (options?: Parameters<typeof startSmtpServer>[0]): Promise<TestSmtpServer> => {
    const started = await startSmtpServer(options);
    open.push(started);
    return started;
  };
  const start = async (SMTP_URL: string, env: Record<string, string> = {}): Promise<Booted> => {
    const booted = await boot({
      env: { SMTP_URL, ...env },
      controllers: [Notify],
      logTo: { write: (line) => void (log += line) },
    });
    open.unshift(booted);
    return booted;
  };
  const serviceOf = ({ app }: Booted) => app.get(MailService, { strict: false });
  const failures = () =>
    log
      .split('\n')
      .filter((line) => line.includes('"mail not sent"'))
      .map((line) => JSON.parse(line) as { reason: string; attempts: number })
      .map(({ reason, attempts }) => [reason, attempts]);

  it('have the sender, the recipient, the subject and the text, and nothing else', async () => {
    const smtp = await server();
    const mail = serviceOf(
      await start(`smtp://127.0.0.1:${smtp.port}`, { MAIL_FROM: 'no-reply@atlas.example' }),
    );
    mail.send({ ...MAIL, text: `Grüße.\n.\n${'x'.repeat(200)}\n` });
    const { from, to, raw } = await smtp.mail(1);
    expect([from, to]).toEqual(['no-reply@atlas.example', ['alice@acme.example']]);
    const [head = '', body = ''] = raw.split('\r\n\r\n');
    const headers = Object.fromEntries(head.split(/\r\n(?! )/).map((line) => line.split(/: (.*)/s)));
    expect(headers).toEqual({
      From: 'Auth Atlas <no-reply@atlas.example>',
      To: 'alice@acme.example',
      Subject: 'Sign in',
      'Auto-Submitted': 'auto-generated',
      'Message-ID': expect.stringMatching(/^<[\w-]+@atlas\.example>$/),
      Date: expect.any(String),
      'MIME-Version': '1.0',
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Transfer-Encoding': 'quoted-printable',
    });
    const text = body
      .replace(/=\r\n/g, '')
      .replace(/=([\dA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    expect(Buffer.from(text, 'latin1').toString('utf8').replaceAll('\r\n', '\n').trim()).toBe(
      `Grüße.\n.\n${'x'.repeat(200)}`,
    );
    await mail.flush();
    expect(log).not.toContain('Grüße');
  });

  it('are not sent to an address, or with a subject, that would add a header', async () => {
    const smtp = await server();
    const mail = serviceOf(await start(`smtp://127.0.0.1:${smtp.port}`));
    for (const to of [
      'alice@acme.example\r\nBcc: mallory@globex.example',
      'alice@acme.example\nX: y',
      'alice@acme.example, mallory@globex.example',
      'alice@acme.example>',
      '"a b"@acme.example',
      'a(comment)@acme.example',
      'Alice <alice@acme.example>',
      'alice@[127.0.0.1]',
      'alice@acme.example\0',
      'alice',
      '',
    ])
      mail.send({ ...MAIL, to });
    for (const subject of [
      'a\r\nBcc: mallory@globex.example',
      'a\nb',
      'a\u2028b',
      'a\u202eb',
      'a\0',
      'a'.repeat(201),
    ])
      mail.send({ ...MAIL, subject });
    mail.send({ ...MAIL, subject: 'the last' });
    expect((await smtp.mail(1)).raw).toContain('Subject: the last\r\n');
    await mail.flush();
    expect(smtp.received).toHaveLength(1);
    expect(failures()).toHaveLength(17);
  });

  it('are sent again after a temporary error, and not after a permanent one', async () => {
    const statuses = [451, 250, 550];
    const smtp = await server({
      onRcptTo(_address, _session, done) {
        const responseCode = statuses.shift()!;
        done(responseCode === 250 ? null : Object.assign(new Error('spam: 123456'), { responseCode }));
      },
    });
    const mail = serviceOf(await start(`smtp://127.0.0.1:${smtp.port}`));
    mail.send(MAIL);
    await smtp.mail(1);
    await mail.flush();
    expect(failures()).toEqual([]);
    mail.send(MAIL);
    await mail.flush();
    expect(failures()).toEqual([['EENVELOPE 550', 1]]);
    expect(statuses).toEqual([]);
    expect(log).not.toMatch(/123456|alice@acme/);
  });

  it('carry the credentials, which never reach the log', async () => {
    const attempts: unknown[] = [];
    const smtp = await server({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, done) {
        attempts.push([username, password]);
        const ok = password === 'p:s3cret';
        done(ok ? null : Object.assign(new Error(`no, ${password}`), { responseCode: 535 }), {
          user: username,
        });
      },
    });
    const good = serviceOf(await start(`smtp://atlas%40x:p%3As3cret@127.0.0.1:${smtp.port}`));
    good.send(MAIL);
    expect((await smtp.mail(1)).user).toBe('atlas@x');
    const bad = serviceOf(await start(`smtp://atlas:wr0ng@127.0.0.1:${smtp.port}`));
    bad.send(MAIL);
    await bad.flush();
    expect(attempts).toEqual([
      ['atlas@x', 'p:s3cret'],
      ['atlas', 'wr0ng'],
    ]);
    expect(failures()).toEqual([['EAUTH 535', 1]]);
    expect(log).not.toMatch(/s3cret|wr0ng/);
  });

  it('are not sent without a configured sign-in that the server does not offer', async () => {
    const smtp = await server({ disabledCommands: ['STARTTLS', 'AUTH'] });
    const booted = await start(`smtp://atlas:p@127.0.0.1:${smtp.port}`);
    serviceOf(booted).send(MAIL);
    await booted.app.close();
    expect(smtp.received).toEqual([]);
    expect(failures()).toHaveLength(1);
  });

  it('do not delay a response or the shutdown when the server never responds', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => {})));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const booted = await start(`smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    const connected = once(silent, 'connection');
    expect((await client(booted.origin).post('/notify', {})).status).toBe(202);
    await connected;
    const [socket] = sockets;
    const closed = once(socket!.resume(), 'close');
    await booted.app.close();
    await closed;
    expect(failures()).toEqual([[expect.stringContaining('ABORT'), 1]]);
    await new Promise((done) => silent.close(done));
  });

  it('beyond a thousand are dropped', async () => {
    const smtp = await server({
      onConnect: () => {
        // Never responds.
      },
    });
    const booted = await start(`smtp://127.0.0.1:${smtp.port}`);
    const mail = serviceOf(booted);
    for (let i = 0; i < 1_001; i++) mail.send(MAIL);
    expect(failures()).toEqual([['too many mails are waiting', 0]]);
  });

  it('are not sent in production without SMTP_URL', async () => {
    const env = {
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://api.atlas.test',
      APP_SECRET: RANDOM_SECRET,
    };
    const booted = await start('', env);
    expect(log).toContain('"event":"mails cannot be sent"');
    serviceOf(booted).send(MAIL);
    expect(failures()).toEqual([['SMTP_URL is not set', 0]]);
    expect(() => serviceOf(booted).assertAvailable()).toThrow(
      expect.objectContaining({ response: expect.objectContaining({ code: 'mail_unavailable' }) }),
    );
    expect((await client(booted.origin).get('/dev/mail', { Host: 'api.atlas.test' })).status).toBe(404);
  });

  describe('over TLS', () => {
    let identity: { cert: string; key: string };
    let folder: string;
    beforeAll(async () => {
      identity = await localhostIdentity();
      folder = mkdtempSync(join(tmpdir(), 'atlas-smtp-'));
      writeFileSync(join(folder, 'ca.pem'), identity.cert);
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    /** Delivers one mail in a process that trusts the certificate: Node reads its own list of CAs at start. */
    const deliver = async (config: Partial<SmtpConfig>, env: Record<string, string> = {}) => {
      const script = `
        const { SmtpTransport } = await import('./dist/mail/smtp.transport.js');
        await new SmtpTransport(${JSON.stringify({ host: 'localhost', from: 'a@atlas.example', ...config })})
          .deliver(${JSON.stringify(MAIL)}, new AbortController().signal)
          .then(() => console.log('delivered'), (error) => console.log(error.code));`;
      const child = Server.start(env, ['--input-type=module', '-e', script]);
      await child.exit;
      expect(child.errors).toBe('');
      return child.out.trim();
    };
    const trusting = () => ({ NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') });

    it('are encrypted from the start with smtps:', async () => {
      const { port, received } = await server({ secure: true, ...identity });
      expect(await deliver({ port, implicitTls: true }, trusting())).toBe('delivered');
      expect(received[0]).toMatchObject({ to: ['alice@acme.example'], secure: true });
    });

    it('are encrypted with STARTTLS if the server offers it', async () => {
      const { port, received } = await server({ ...identity, disabledCommands: [] });
      for (const requireTls of [true, false])
        expect(await deliver({ port, requireTls }, trusting())).toBe('delivered');
      expect(received.map(({ secure }) => secure)).toEqual([true, true]);
    });

    it('are not sent to a server whose certificate nobody has signed, or that has another name', async () => {
      const [implicit, upgraded] = [
        await server({ secure: true, ...identity }),
        await server({ ...identity, disabledCommands: [] }),
      ];
      expect(await deliver({ port: implicit.port, implicitTls: true })).toBe('ESOCKET');
      expect(await deliver({ port: upgraded.port, requireTls: true })).toBe('ESOCKET');
      const other = { host: '127.0.0.1', port: implicit.port, implicitTls: true };
      expect(await deliver(other, trusting())).toBe('ESOCKET');
      expect([...implicit.received, ...upgraded.received]).toEqual([]);
    });

    it('are not sent unencrypted if TLS is required', async () => {
      const { port, received } = await server();
      expect(await deliver({ port, requireTls: true })).toBe('ETLS');
      expect(received).toEqual([]);
    });
  });
});
