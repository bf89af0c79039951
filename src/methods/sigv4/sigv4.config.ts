/**
 * The region and service of the credential scope. A signature for another region or service is rejected, even with the same
 * secret. Use a different region for each installation, such as staging and production.
 */
export const REGION = 'atlas-1';
export const SERVICE = 'auth-atlas';
