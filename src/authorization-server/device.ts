import type { Configuration } from 'oidc-provider';
import { devicePages } from './pages/device.js';

/** Seconds in which a code that a device shows must have been typed in. */
export const DEVICE_CODE_LIFETIME = 600;

/** For what has a screen and no keyboard (RFC 8628). Letters without vowels: no words, and none that is easily mistaken. */
export const device = {
  deviceFlow: {
    enabled: true,
    charset: 'base-20',
    mask: '****-****',
    // Where the device is seen from is nothing that whoever confirms it could judge by.
    deviceInfo: () => ({}),
    ...devicePages,
  },
} satisfies Configuration['features'];
