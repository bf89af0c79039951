import helmet from 'helmet';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The headers of every response, including those to requests that Node's parser rejects: name, name in lower case, value. */
export const SECURITY_HEADERS = collect();

/** Collects helmet's headers once: they are the same for every request. */
function collect(): (readonly [name: string, lowerCaseName: string, value: string])[] {
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
  return Object.entries(headers).map(([name, value]) => [name, name.toLowerCase(), value]);
}
