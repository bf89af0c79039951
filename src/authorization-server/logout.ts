import type { Configuration } from 'oidc-provider';
import { logoutPages } from './pages/logout.js';

/** Signing out at the authorization server, and telling applications that it has happened. */
export const logout = {
  rpInitiatedLogout: { enabled: true, ...logoutPages },
  backchannelLogout: { enabled: true },
} satisfies Configuration['features'];
