import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { chromium, type Browser, type Page } from 'playwright-core';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { boot, client, type Booted } from '../support/app.js';
import { describeInBrowser, executablePath } from '../support/chromium.js';

const basic = { Authorization: `Basic ${Buffer.from(`bob:${DEMO_PASSWORD}`).toString('base64')}` };

describeInBrowser('the API page in a browser', () => {
  let booted: Booted;
  let browser: Browser;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    browser = await chromium.launch({ executablePath });
  });
  afterAll(async () => {
    await browser.close();
    await booted.close();
  });

  describe.each([
    ['a phone', { width: 390, height: 844 }],
    ['a desktop', { width: 1280, height: 800 }],
  ])('on %s', (_, viewport) => {
    let page: Page;
    const errors: string[] = [];
    // One page for all tests: Swagger UI needs several seconds to show it.
    beforeAll(async () => {
      page = await browser.newPage({ viewport });
      page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
      page.on('pageerror', (error) => errors.push(error.message));
      await page.goto(`${booted.origin}/openapi`);
      await page.getByText('List documents', { exact: true }).waitFor();
    });
    afterEach(() => expect(errors).toEqual([]));
    afterAll(() => page.close());

    /** Enters a credential in the dialog of a security scheme. */
    async function authorize(scheme: string, fields: Readonly<Record<string, string>>): Promise<void> {
      await page.getByRole('button', { name: 'Authorize' }).first().click();
      const form = page.locator('.auth-container', { has: page.getByText(scheme, { exact: true }) });
      for (const [label, value] of Object.entries(fields)) await form.getByLabel(label).fill(value);
      await form.getByRole('button', { name: 'Apply credentials' }).click();
      await page.getByRole('button', { name: 'Close' }).last().click();
    }

    /** Executes an operation without parameters. @returns the status and body that the page shows */
    async function tryOut(path: string): Promise<{ status: string; body: { id: string } }> {
      const operation = page.locator('.opblock', { has: page.locator(`[data-path="${path}"]`) });
      await operation.locator('.opblock-summary-control').click();
      await operation.getByRole('button', { name: 'Try it out' }).click();
      await operation.getByRole('button', { name: 'Execute' }).click();
      const response = operation.locator('.live-responses-table .response');
      const status = await response.locator('.response-col_status').innerText();
      const body = await response.locator('.highlight-code code, .microlight').first().innerText();
      return { status, body: JSON.parse(body) as { id: string } };
    }

    it('shows the summary of each operation, within the width of the screen', async () => {
      const { paths } = (await client(booted.origin).get('/openapi.json')).body as {
        paths: Record<string, Record<string, { summary: string }>>;
      };
      const summaries = Object.values(paths).flatMap((path) =>
        Object.values(path).map(({ summary }) => summary),
      );
      const shown = await page.locator('.opblock-summary-description').allInnerTexts();
      expect(shown.toSorted()).toEqual(summaries.toSorted());
      const outside = await page.evaluate(() =>
        [...document.querySelectorAll('body *')]
          .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
          .map((element) => element.textContent),
      );
      expect(outside).toEqual([]);
    });

    it('tries an operation out with a password', async () => {
      await authorize('basic', { Username: 'bob', Password: DEMO_PASSWORD });
      expect(await tryOut('/demo/basic')).toMatchObject({ status: '200', body: { id: 'bob' } });
    });

    it('tries an operation out with an API key', async () => {
      const { body } = await client(booted.origin, basic).post('/api-keys', { name: 'page' });
      await authorize('api-key', { Value: body.key as string });
      expect(await tryOut('/demo/api-key')).toMatchObject({ status: '200', body: { id: 'bob' } });
    });

    it('tries an operation out with a bearer token', async () => {
      const credentials = { username: 'bob', password: DEMO_PASSWORD, as: 'jwt' };
      const { body } = await client(booted.origin).post('/auth/login', credentials);
      await authorize('jwt', { Value: body.access_token as string });
      expect(await tryOut('/demo/jwt')).toMatchObject({ status: '200', body: { id: 'bob' } });
    });
  });
});
