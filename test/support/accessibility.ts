import { expect } from '@jest/globals';
import axe from 'axe-core';
import type { Page } from 'playwright-core';

const SCREENS = [
  { width: 390, height: 844 },
  { width: 1280, height: 800 },
];
const SERIOUS = ['serious', 'critical'];

/**
 * Checks the page that a browser shows, on a phone and on a desktop, with light and with dark colours: axe-core reports nothing
 * serious, and nothing is wider than the screen.
 */
export async function expectAccessible(page: Page): Promise<void> {
  const before = page.viewportSize();
  // A script of the debugger, which the page's content security policy does not apply to.
  await page.evaluate(axe.source);
  for (const screen of SCREENS)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize(screen);
      await page.emulateMedia({ colorScheme });
      const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
      const serious = violations.filter(({ impact }) => SERIOUS.includes(impact ?? 'critical'));
      const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      expect({ screen, colorScheme, found }).toEqual({ screen, colorScheme, found: [] });
      const tooWide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect({ screen, tooWide }).toEqual({ screen, tooWide: 0 });
    }
  await page.emulateMedia({ colorScheme: null });
  if (before) await page.setViewportSize(before);
}
