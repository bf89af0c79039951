import { describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';

/** The browser of the tests: set CHROMIUM to the path of another one. */
export const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const installed = existsSync(executablePath);

const missingBrowser = () =>
  it('is skipped: set CHROMIUM to the path of a browser', () => expect(installed).toBe(false));

/** Describes tests in a real browser. Without one, the title says that they are skipped. */
export const describeInBrowser = (title: string, tests: () => void) =>
  describe(
    installed ? title : `${title}: skipped, ${executablePath} is not installed`,
    installed ? tests : missingBrowser,
  );
