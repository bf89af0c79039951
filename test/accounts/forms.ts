const HTML = { Accept: 'text/html' };

/** Opens a page as a browser does, without following redirects. */
export const open = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(url, { redirect: 'manual', headers: { ...HTML, ...headers } });

/** Sends a form as a browser does, without following redirects. */
export const submit = (
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { ...HTML, ...headers },
    body: new URLSearchParams(fields),
  });

/** The status of a page, its heading, and the text of its errors. */
export async function shown(response: Response) {
  const html = await response.text();
  const textsOf = (pattern: RegExp) => [...html.matchAll(pattern)].map(([, text]) => text!.trim());
  return {
    status: response.status,
    heading: textsOf(/<h1>(.*?)<\/h1>/g)[0],
    errors: textsOf(/<p[^>]*(?:class="error"|role="alert")[^>]*>([^<]*)</g),
  };
}

/** The status of a redirect, and its target. */
export const redirectOf = (response: Response) => [response.status, response.headers.get('location')];

/** The headers of a page of another site that sends a form. */
export const CROSS_SITE = [
  { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' },
  { 'Sec-Fetch-Site': 'same-site' },
  { Origin: 'https://evil.example' },
  { Origin: 'null' },
] as const;
