import type { Configuration } from 'oidc-provider';
import type { Settings } from '../config/settings.js';

/**
 * What the engine fetches or tells: the keys of clients that say where theirs are, and who has signed out. It gives up after
 * some seconds and follows no redirect. In production it hangs up on loopback and private addresses once it sees to whom it
 * is connected, whatever the name was; on a developer's machine all clients are at such addresses.
 */
export const outgoing = ({ environment }: Settings): Configuration => ({
  fetch: async (url, options) => {
    const { dispatcher, ...asked } = options as RequestInit & { dispatcher?: unknown };
    const guarded = environment === 'production';
    // The engine goes on without its guard where it cannot make it.
    if (guarded && !dispatcher) throw new Error('The engine has no guard against addresses of this network.');
    return fetch(url, { ...asked, ...(guarded && { dispatcher }), redirect: 'error' });
  },
  fetchResponseBodyLimits: { jwks_uri: 64 * 1024, sector_identifier_uri: 64 * 1024 },
});
