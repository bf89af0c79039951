import type { Configuration } from 'oidc-provider';

/**
 * What the engine fetches: the keys of clients that say where theirs are. It gives up after some seconds, and hangs up on
 * loopback and private addresses once it sees to whom it is connected, whatever the name was; here it follows no redirect.
 */
export const outgoing: Configuration = {
  fetch: (url, options) => fetch(url, { ...options, redirect: 'error' } as RequestInit),
  fetchResponseBodyLimits: { jwks_uri: 64 * 1024, sector_identifier_uri: 64 * 1024 },
};
