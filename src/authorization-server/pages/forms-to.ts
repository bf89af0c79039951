/**
 * Where a browser may end up after a form that an application waits for, as a source of `form-action`: its redirect URI's
 * origin, or the scheme of a native application's. What cannot be written as one is left out.
 */
export function formsTo(uri: unknown): string[] {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return [];
  const { protocol, host, origin } = new URL(uri);
  if (!/^https?:$/.test(protocol)) return [protocol];
  // An IPv6 address cannot be named (CSP Level 3, section 2.3.1).
  if (host.startsWith('[')) return [protocol];
  // A host may hold a `;` or a `,`, which would begin a directive or a policy of its own.
  return /^[\w.:-]+$/.test(host) ? [origin] : [];
}
