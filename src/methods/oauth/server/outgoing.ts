import type { Configuration } from 'oidc-provider';
import type { Settings } from '../../../config/index.js';

/**
 * What the engine fetches or tells: the keys of clients that say where theirs are, and who has signed out. It gives up after
 * some seconds and follows no redirect. In production it hangs up on loopback and private addresses once it sees to whom it
 * is connected, whatever the name was; on a developer's machine all clients are at such addresses.
 */
export const outgoing = ({ environment }: Settings): Configuration => ({
  fetch: (url, options) => {
    const { dispatcher, ...asked } = options as RequestInit & { dispatcher?: unknown };
    const guard = environment === 'production' && { dispatcher };
    return fetch(url, { ...asked, ...guard, redirect: 'error' } as RequestInit);
  },
  fetchResponseBodyLimits: { jwks_uri: 64 * 1024, sector_identifier_uri: 64 * 1024 },
});
