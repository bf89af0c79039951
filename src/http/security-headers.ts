import helmet from 'helmet';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What stands on every answer, also on those that Node's own parser makes us give. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = collect();

/** Helmet's headers, written down once: they do not depend on the request. */
function collect(): Record<string, string> {
  const headers: Record<string, string> = { 'Cache-Control': 'no-store' };
  const response = {
    setHeader: (name: string, value: string) => (headers[name] = value),
    removeHeader: () => {},
  };
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: true },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  })({} as IncomingMessage, response as unknown as ServerResponse, () => {});
  return headers;
}
