import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ConflictException,
  Controller,
  Get,
  Header,
  HttpCode,
  HttpException,
  Post,
  UseFilters,
} from '@nestjs/common';
import { chromium, type Browser } from 'playwright-core';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { ExcludeFromOpenApi } from '../../src/authentication/describe.js';
import { Consumes, Public, SelfService } from '../../src/authentication/plan.js';
import { RejectedRequests } from '../../src/authentication/ports.js';
import { csrfField, field, formError, submitButton } from '../../src/pages/forms.js';
import { html } from '../../src/pages/html.js';
import { contentSecurityPolicy, pageHeaders, renderPage, type Page } from '../../src/pages/layout.js';
import { PageFilter } from '../../src/pages/page.filter.js';
import { expectAccessible } from '../support/accessibility.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';

const HTML = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

const form: Page = {
  title: 'A form',
  body: html`
    ${formError('The code is incorrect.')}
    <form method="post">
      ${csrfField('a-token')}
      ${field({ name: 'code', label: 'Code', autocomplete: 'one-time-code', inputmode: 'numeric', hasFormError: true })}
      ${field({ name: 'name', label: 'Name', autocomplete: 'nickname', error: 'Too long.', hint: 'Up to 80 characters.' })}
      ${submitButton({ label: 'Continue' })}
      ${submitButton({ label: 'Skip', name: 'skip', value: 'yes', quiet: true })}
    </form>
    <svg viewBox="0 0 1 1" width="20" height="20" role="img" aria-label="A square">
      <path d="M0 0h1v1H0z" />
    </svg>
  `,
};
const scripted: Page = {
  title: 'Scripted',
  body: html`<p id="text">Before.</p>`,
  scripts: ['/tried/page.js'],
};

@Controller('tried')
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
class Pages {
  @Get('mine')
  @SelfService()
  mine() {
    return 'reached';
  }

  @Post('mine')
  @SelfService()
  @Consumes('form')
  write() {
    return 'reached';
  }

  @Get('conflict')
  @Public()
  conflict() {
    throw Object.assign(new ConflictException({ code: 'a_conflict', detail: 'Two <of> them.' }), {
      headers: { 'Retry-After': '7' },
    });
  }

  @Get('broken')
  @Public()
  broken() {
    throw new Error('at /home/somebody/secret.ts');
  }

  @Get('teapot')
  @Public()
  teapot() {
    throw new HttpException('short and stout', 418);
  }

  @Get('form')
  @Public()
  @Header('Content-Type', pageHeaders(form)['Content-Type']!)
  @Header('Content-Security-Policy', contentSecurityPolicy(form))
  form() {
    return renderPage(form);
  }

  @Get('scripted')
  @Public()
  @Header('Content-Type', pageHeaders(scripted)['Content-Type']!)
  @Header('Content-Security-Policy', contentSecurityPolicy(scripted))
  scripted() {
    return renderPage(scripted);
  }

  @Get('page.js')
  @Public()
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  script() {
    return "document.querySelector('#text').textContent = await (await fetch('/tried/text')).text();";
  }

  @Get('text')
  @Public()
  @HttpCode(200)
  text() {
    return 'After.';
  }
}

describe('the pages', () => {
  let booted: Booted;
  let log = '';
  beforeAll(async () => {
    booted = await boot({ controllers: [Pages], logTo: { write: (line) => void (log += line) } });
  });
  afterAll(() => booted.close());

  it('have a cacheable stylesheet', async () => {
    const response = await client(booted.origin).get('/pages/style.css');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/css; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('public, max-age=3600');
  });

  it('may run scripts of this server only if they list some, and never inline ones', () => {
    expect(contentSecurityPolicy(form)).toBe(
      "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    expect(contentSecurityPolicy(scripted)).toBe(
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; " +
        "frame-ancestors 'none'; base-uri 'none'",
    );
    expect(renderPage(form)).not.toContain('<script');
    expect(renderPage(scripted)).toContain('<script type="module" src="/tried/page.js"></script>');
    expect(renderPage(form)).not.toMatch(/<style|style=|<script>| on\w+=/);
  });

  describe('after an exception', () => {
    const get = (path: string, headers: Record<string, string> = HTML) =>
      client(booted.origin).get(path, headers);

    it('show the error to a browser, with its status and headers', async () => {
      const { status, headers, body } = await get('/tried/conflict');
      expect(status).toBe(409);
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'; style-src 'self';");
      expect(headers.get('retry-after')).toBe('7');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(body).toContain('Two &lt;of&gt; them.');
      expect(body).toContain('a_conflict');
    });

    it('send other callers the problem', async () => {
      for (const accept of ['*/*', 'application/json', 'application/problem+json']) {
        const { status, headers, body } = await get('/tried/conflict', { Accept: accept });
        expect([status, body.code]).toEqual([409, 'a_conflict']);
        expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
        expect(headers.get('retry-after')).toBe('7');
      }
    });

    it('hide the message of an unexpected error, and log it', async () => {
      const { status, body } = await get('/tried/broken');
      expect(status).toBe(500);
      expect(body).toContain('internal_error');
      expect(body).not.toContain('secret.ts');
      expect(log).toContain('secret.ts');
      const teapot = await get('/tried/teapot');
      expect([teapot.status, teapot.body.includes('short and stout')]).toEqual([418, false]);
    });

    it('redirect a browser that is not signed in to the sign-in page, and back', async () => {
      for (const [path, location] of [
        ['/tried/mine', '/account/sign-in?returnTo=%2Ftried%2Fmine'],
        ['/tried/mine?a=1&b=%2F', '/account/sign-in?returnTo=%2Ftried%2Fmine%3Fa%3D1%26b%3D%252F'],
        [`/tried/mine?${'x'.repeat(1_000)}`, '/account/sign-in'],
      ] as const) {
        const { status, headers, body } = await get(path);
        expect([status, headers.get('location'), body]).toEqual([303, location, '']);
        expect(headers.get('www-authenticate')).toBeNull();
      }
    });

    it('send 401 to a program without a credential, and to the form of a browser', async () => {
      const program = await get('/tried/mine', {});
      expect([program.status, program.body.code]).toEqual([401, 'unauthenticated']);
      expect(program.headers.get('www-authenticate')).toBeTruthy();
      const posted = await client(booted.origin).send('POST', '/tried/mine', {
        body: 'a=b',
        headers: { ...HTML, 'Content-Type': 'application/x-www-form-urlencoded' },
      });
      expect(posted.status).toBe(401);
      expect(posted.headers.get('www-authenticate')).toBeTruthy();
      expect(posted.body).toContain('Authentication required.');
      expect((await get('/tried/mine', { ...HTML, ...as({ id: 'bob' }) })).body).toBe('reached');
    });

    it('report the rejection to the audit log and the rate limits', async () => {
      const seen: unknown[] = [];
      booted.app.get(RejectedRequests).subscribe({ rejected: (_ip, error) => void seen.push(error) });
      const bad = { ...HTML, Authorization: 'ApiKey junk' };
      expect((await get('/tried/mine', bad)).status).toBe(303);
      expect(seen).toHaveLength(1);
      await booted.app.get(AuditLog).flush();
      const events = await booted.db.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 });
      expect(events[0]).toMatchObject({ event: 'authn_login_fail' });
    });
  });

  describeInBrowser('in a browser', () => {
    let browser: Browser;
    beforeAll(async () => void (browser = await chromium.launch({ executablePath })));
    afterAll(() => browser.close());

    const open = async (path: string) => {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on('console', (message) => void (message.type() === 'error' && errors.push(message.text())));
      await page.goto(booted.origin + path);
      return { page, errors };
    };

    it('are accessible, with errors tied to their inputs and inline images', async () => {
      const { page, errors } = await open('/tried/form');
      await expectAccessible(page);
      const description = (label: string) => page.getByLabel(label).getAttribute('aria-describedby');
      expect([await description('Code'), await description('Name')]).toEqual([
        'error',
        'name-error name-hint',
      ]);
      expect(await page.getByLabel('Name').getAttribute('autocomplete')).toBe('nickname');
      expect((await page.getByRole('img').boundingBox())!.width).toBe(20);
      expect(errors).toEqual([]);
      await page.close();
    });

    it('run the scripts that they list, which may send requests to this server', async () => {
      const { page, errors } = await open('/tried/scripted');
      await page.getByText('After.').waitFor();
      expect(errors).toEqual([]);
      await page.close();
    });
  });
});
