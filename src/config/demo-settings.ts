/** The secret of the demo. It is published, so production rejects it. */
export const DEMO_SECRET = 'demo-secret-published-in-the-source-of-auth-atlas';

interface DemoSettings {
  readonly NODE_ENV: string;
  readonly HOST: string;
  readonly DATABASE_URL?: string | undefined;
  readonly DEMO?: boolean | undefined;
  readonly APP_SECRET?: string | undefined;
  readonly APP_SECRET_PREVIOUS?: string | undefined;
}

const LOOPBACK = /^(?:localhost|\[?::1\]?|(?:::ffff:)?127(?:\.\d{1,3}){3})$/i;

/** Whether a host name or an address is this computer. */
export const isLoopbackHost = (host: string): boolean => LOOPBACK.test(host);

/** Whether demo accounts are created, and the published secret is accepted, if the database is not in other use. */
const isAllowed = ({ NODE_ENV, HOST, DATABASE_URL, DEMO }: DemoSettings): boolean =>
  NODE_ENV !== 'production' && isLoopbackHost(HOST) && (DEMO === true || !DATABASE_URL);

export const demoIsOn = (settings: DemoSettings): boolean => isAllowed(settings) && settings.DEMO !== false;

/** The error of settings that would publish the demo, or protect real data with the published secret. */
export function unsafeDemo(settings: DemoSettings): string | undefined {
  const { DEMO, DATABASE_URL, APP_SECRET = DEMO_SECRET, APP_SECRET_PREVIOUS } = settings;
  if (isAllowed(settings)) return undefined;
  if (DEMO) return 'DEMO must not be true unless HOST is a loopback address.';
  if (APP_SECRET !== DEMO_SECRET && APP_SECRET_PREVIOUS !== DEMO_SECRET) return undefined;
  const name = APP_SECRET === DEMO_SECRET ? 'APP_SECRET' : 'APP_SECRET_PREVIOUS';
  return DATABASE_URL
    ? `${name} must be a secret of your own with DATABASE_URL, unless DEMO is true.`
    : `${name} must be a secret of your own, because HOST is not a loopback address.`;
}
