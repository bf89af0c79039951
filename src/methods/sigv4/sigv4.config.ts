/**
 * What keys sign for: this API. A signature for another region or service is of no use here, whoever has the same
 * secret there. Give each of your installations (staging, production) a region of its own.
 */
export const REGION = 'atlas-1';
export const SERVICE = 'auth-atlas';
