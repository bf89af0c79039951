import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chromium } from 'playwright-core';
import { MailService } from '../../src/mail/mail.service.js';
import { expectAccessible } from '../support/accessibility.js';
import { boot, client, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';

const HTML = { Accept: 'text/html' };

describe('the mailbox of developers', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ publicUrlIsOrigin: true })));
  afterAll(() => booted.close());

  const send = async (to: string, subject: string, text = 'Hello.') => {
    const mail = booted.app.get(MailService, { strict: false });
    mail.send({ to, subject, text });
    await mail.flush();
  };
  const subjects = async (query = '') =>
    ((await client(booted.origin).get(`/dev/mail${query}`)).body.items as { subject: string }[]).map(
      ({ subject }) => subject,
    );

  it('lists mails as JSON, the newest first, all or those to one address', async () => {
    await send('alice@acme.example', 'First');
    await send('bob@acme.example', 'Second');
    await send('alice@acme.example', 'Third', 'The text.');
    expect(await subjects()).toEqual(['Third', 'Second', 'First']);
    expect(await subjects('?to=alice@acme.example')).toEqual(['Third', 'First']);
    expect(await subjects('?to=alice')).toEqual([]);
    const { body } = await client(booted.origin).get('/dev/mail', { Accept: 'application/json' });
    expect(body.items[0]).toEqual({
      id: 3,
      to: 'alice@acme.example',
      subject: 'Third',
      text: 'The text.',
      sentAt: expect.any(String),
    });
    expect((await client(booted.origin).get('/dev/mail/3')).body).toEqual(body.items[0]);
    expect((await client(booted.origin).get('/dev/mail/99')).status).toBe(404);
    expect((await client(booted.origin).get('/dev/mail/x')).status).toBe(404);
  });

  it('shows a browser pages, in which only links to this server are clickable', async () => {
    const own = `${booted.origin}/auth/somewhere?token=a&b=c`;
    await send('carol@acme.example', '<b>Bold</b>', `Open\n${own}\nnot https://evil.example/ <script>`);
    const list = await client(booted.origin).get('/dev/mail', HTML);
    expect(list.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const [, path = ''] = /href="(\/dev\/mail\/\d+)">&lt;b&gt;Bold/.exec(list.body) ?? [];
    const { body } = await client(booted.origin).get(path, HTML);
    const escaped = own.replace('&', '&amp;');
    expect(body).toContain(`<a href="${escaped}">${escaped}</a>`);
    expect(body).not.toMatch(/href="https:\/\/evil|<script|<b>/);
  });

  it('is not shown under a foreign host name, which may resolve to this computer', async () => {
    const { port } = new URL(booted.origin);
    for (const [host, status] of [
      [`localhost:${port}`, 200],
      [`127.0.0.1:${port}`, 200],
      [`evil.example:${port}`, 404],
      [`localhost.evil.example:${port}`, 404],
    ] as const) {
      const response = await client(booted.origin).raw(
        'GET /dev/mail HTTP/1.1',
        `Host: ${host}`,
        'Connection: close',
        '',
      );
      expect([host, response.slice(9, 12)]).toEqual([host, String(status)]);
    }
  });

  it('keeps a hundred mails', async () => {
    for (let i = 0; i < 101; i++) await send('dave@acme.example', `Number ${i}`);
    const kept = await subjects();
    expect([kept.length, kept[0], kept[99]]).toEqual([100, 'Number 100', 'Number 1']);
  });

  it('does not exist where mails are sent, or are visible to others', async () => {
    for (const env of [{ SMTP_URL: 'smtp://127.0.0.1:1' }, { HOST: '0.0.0.0', DEMO: 'false' }]) {
      const other = await boot({ env });
      expect((await client(other.origin).get('/dev/mail')).status).toBe(404);
      await other.close();
    }
  });

  describeInBrowser('in a browser', () => {
    it('is accessible', async () => {
      await send('alice@acme.example', 'A mail', `Open ${booted.origin}/${'x'.repeat(100)}\n`);
      const browser = await chromium.launch({ executablePath });
      const page = await browser.newPage();
      await page.goto(`${booted.origin}/dev/mail`);
      await expectAccessible(page);
      await page.getByRole('link', { name: 'A mail' }).click();
      await expectAccessible(page);
      await browser.close();
    });
  });
});
