export interface MagicLinkRequest {
  readonly email: string;
  /** The name of an installed method with an issuer. */
  readonly as: string;
  /** Limits the issued credential. */
  readonly scope?: string;
  /** A path to redirect to after the link, for issuers of cookies. */
  readonly returnTo?: string;
}

export interface MagicLinkCode {
  readonly email: string;
  readonly code: string;
  readonly as: string;
  readonly scope?: string;
}

const post = (url: URL, body: object): Request =>
  new Request(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });

/** Requests a mail: `fetch(mailRequest('https://api.example', { email, as: 'session' }))`. */
export const mailRequest = (origin: string, request: MagicLinkRequest): Request =>
  post(new URL('/auth/magic-link', origin), request);

/** Signs in with the code of the mail. */
export const codeRequest = (origin: string, code: MagicLinkCode): Request =>
  post(new URL('/auth/magic-link/code', origin), code);
