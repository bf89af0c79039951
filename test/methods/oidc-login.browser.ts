/** A minimal browser that stores cookies and follows redirects. */
export class Browser {
  private readonly cookies = new Map<string, Map<string, string>>();

  /** The Cookie header for an origin. */
  cookieOf(url: string | URL): string {
    const own = this.cookies.get(new URL(url).origin) ?? new Map<string, string>();
    return [...own].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async get(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const cookie = this.cookieOf(url);
    const headers = { ...(cookie && { Cookie: cookie }), ...(init.headers as Record<string, string>) };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    const { origin } = new URL(url);
    const own = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, own);
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value && !/max-age=0|expires=thu, 01 jan 1970/i.test(line)) own.set(name, value);
      else own.delete(name);
    }
    return response;
  }

  /** Follows redirects to the first URL for which `isTarget` is true. Does not request that URL. */
  async followTo(start: string | URL, isTarget: (url: URL) => boolean): Promise<URL> {
    let url = new URL(start);
    for (let i = 0; i < 20; i++) {
      if (isTarget(url)) return url;
      const response = await this.get(url);
      const location = response.headers.get('location');
      if (!location) throw new Error(`${url.pathname}: ${response.status} ${await response.text()}`);
      url = new URL(location, url);
    }
    throw new Error('Too many redirects.');
  }
}
