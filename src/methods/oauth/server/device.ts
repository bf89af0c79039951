import type { Configuration } from 'oidc-provider';
import { devicePages } from './pages/device.js';

/** The device flow (RFC 8628). */
export const device = {
  deviceFlow: { enabled: true, ...devicePages },
} satisfies Configuration['features'];
