/**
 * The key of the demo's client `fapi`, private part and all: published here, and so registered in the demo only.
 * Nobody else's client may have it.
 */
export const DEMO_FAPI_KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: '5MJhGYIbO_x1Wg_ZFxZU0nelPJ2CtwdcJblOuhFnAxY',
  y: 'kViUcJvYDgwgNDJrBGw9B89ZAD8K0bY1jpG6_fOC7JU',
  d: 'uah0ZfTwlYaxUZ7qHQug76tYwmQ2aPjIdq152jGSC2g',
  kid: 'fapi-demo',
  alg: 'ES256',
  use: 'sig',
} as const;
