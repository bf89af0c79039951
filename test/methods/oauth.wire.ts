import type { Booted } from '../app.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
export const CIBA = 'urn:openid:params:grant-type:ciba';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** What a confidential client of the demo sends to say who it is. */
export const basicOf = (id: string, secret = `${id}-demo-secret-0123456789abcdef`) =>
  `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

export interface FormAnswer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test asserts on whatever came
  readonly body: any;
}

type Form = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

/** Posts a form below `/oidc`, as a confidential client of the demo, or with other headers. */
export const poster =
  ({ origin }: Pick<Booted, 'origin'>) =>
  async (path: string, form: Form, as?: string | Record<string, string>): Promise<FormAnswer> => {
    const pairs = Array.isArray(form) ? form : Object.entries(form);
    const response = await fetch(`${origin}/oidc${path}`, {
      method: 'POST',
      redirect: 'manual',
      headers: typeof as === 'string' ? { Authorization: basicOf(as) } : (as ?? {}),
      body: new URLSearchParams(pairs.map(([name, value]) => [name, value])),
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
  };

/** What a JWT says, unverified. */
export const claimsOf = (jwt: string) =>
  JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
