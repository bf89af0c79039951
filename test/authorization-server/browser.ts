import { DEMO_PASSWORD } from '../../src/users/users.demo.js';

/** A form of a page. */
export interface Form {
  readonly action: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly buttons: readonly { readonly name: string; readonly value: string; readonly text: string }[];
}

export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly form: Form | undefined;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

type Fields = Readonly<Record<string, string | readonly string[]>>;

/**
 * A minimal browser that stores cookies by path, follows redirects within its origin and submits forms. It stops at a
 * redirect to another origin or scheme and returns that URL.
 */
export class Browser {
  cookies: Cookie[] = [];

  constructor(readonly origin: string) {}

  /** @returns the final page, or the URL outside of the origin to which it was redirected */
  async open(url: string | URL): Promise<Page | URL> {
    return this.follow(new URL(url, this.origin), await this.send('GET', new URL(url, this.origin)));
  }

  /** @throws Error if it is redirected to another origin */
  async page(url: string | URL): Promise<Page> {
    const result = await this.open(url);
    if (result instanceof URL) throw new Error(`Expected a page, but was redirected to ${result.href}`);
    return result;
  }

  /**
   * Submits the form of a page.
   * @param fields replace or extend the form's fields
   * @param button the text of the button; default: the first button
   */
  async submit(page: Page, fields: Fields = {}, button?: string): Promise<Page | URL> {
    const { form } = page;
    if (!form) throw new Error(`No form in this page:\n${page.text}`);
    const pressed = button === undefined ? form.buttons[0] : form.buttons.find(({ text }) => text === button);
    if (button !== undefined && !pressed)
      throw new Error(`No button "${button}" in this page:\n${page.text}`);
    const body = new URLSearchParams(
      form.fields.filter(([name]) => !(name in fields)).map(([name, value]) => [name, value]),
    );
    for (const [name, value] of Object.entries(fields))
      for (const each of [value].flat()) body.append(name, each);
    if (pressed?.name) body.append(pressed.name, pressed.value);
    const to = new URL(form.action, page.url);
    if (to.origin !== this.origin) return new URL(`${to.href}#${body.toString()}`);
    return this.follow(to, await this.post(to, body));
  }

  post(
    url: string | URL,
    body: URLSearchParams,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return this.send('POST', new URL(url, this.origin), body, {
      Origin: this.origin,
      'Sec-Fetch-Site': 'same-origin',
      ...headers,
    });
  }

  async send(
    method: string,
    url: URL,
    body?: URLSearchParams,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const cookie = this.cookies
      .filter(({ path }) => url.pathname === path || url.pathname.startsWith(path.replace(/\/?$/, '/')))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: { Accept: 'text/html,*/*;q=0.8', ...(cookie && { Cookie: cookie }), ...headers },
      ...(body && { body }),
    });
    for (const line of response.headers.getSetCookie()) this.keep(line);
    return response;
  }

  private async follow(url: URL, response: Response): Promise<Page | URL> {
    const location = response.headers.get('location');
    if (location === null) return pageOf(url, response);
    const next = new URL(location, url);
    if (next.origin !== this.origin) return next;
    return this.follow(next, await this.send('GET', next));
  }

  private keep(line: string): void {
    const [pair = '', ...attributes] = line.split(/;\s*/);
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const attribute = (wanted: string) =>
      attributes.find((each) => each.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
    const path = attribute('path') ?? '/';
    this.cookies = this.cookies.filter((each) => each.name !== name || each.path !== path);
    const expires = attribute('expires');
    if (value && !(expires && Date.parse(expires) < Date.now())) this.cookies.push({ name, value, path });
  }
}

async function pageOf(url: URL, response: Response): Promise<Page> {
  const text = await response.text();
  const { status, headers } = response;
  return { url, status, headers, text, form: formOf(text, url) };
}

const attribute = (tag: string, name: string): string | undefined => {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return found && unescaped(found);
};

const unescaped = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|#39|#96);/g, (_, name: string) => ENTITIES[name]!);

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
  '#96': '`',
};

/** The first form of a page. Contains a checkbox only if it is checked. */
function formOf(text: string, url: URL): Form | undefined {
  const found = /(<form[^>]*>)([\s\S]*?)<\/form>/.exec(text);
  if (!found) return undefined;
  const [, tag = '', inside = ''] = found;
  const inputs = [...inside.matchAll(/<input[^>]*>/g)].map(([input]) => input);
  const buttons = [...inside.matchAll(/(<button[^>]*>)([\s\S]*?)<\/button>/g)];
  return {
    action: attribute(tag, 'action') ?? url.href,
    fields: inputs
      .filter((input) => attribute(input, 'type') !== 'checkbox' || /\schecked\b/.test(input))
      .map((input) => [attribute(input, 'name') ?? '', attribute(input, 'value') ?? ''] as const),
    buttons: buttons.map(([, button = '', words = '']) => ({
      name: attribute(button, 'name') ?? '',
      value: attribute(button, 'value') ?? '',
      text: unescaped(words.trim()),
    })),
  };
}

/** The user's input on the sign-in and consent pages. */
export interface UserInput {
  readonly password?: string;
  /** The button on the consent page; default: `Allow`. */
  readonly press?: 'Allow' | 'Deny';
  /** The checkboxes that stay checked, as `<resource> <scope>`; default: all. */
  readonly scopes?: readonly string[];
  /** A browser with existing cookies. */
  readonly browser?: Browser;
}

/**
 * Completes the sign-in and consent pages like a user.
 *
 * @param url the authorization request
 * @returns `callback`, the URL to which the application receives the response; for flows that end on a page of the server
 *   (the device flow) `page`; and the browser with its cookies
 */
export async function signIn(
  { origin }: { readonly origin: string },
  url: string | URL,
  username = 'bob',
  { password = DEMO_PASSWORD, press = 'Allow', scopes, browser = new Browser(origin) }: UserInput = {},
): Promise<{ callback: URL; page: Page; browser: Browser }> {
  let current = await browser.open(url);
  for (let pages = 0; !(current instanceof URL) && current.form && pages < 6; pages++) {
    const offers = (text: string) =>
      current instanceof URL || current.form?.buttons.some((each) => each.text === text);
    if (offers('Sign in')) current = await browser.submit(current, { username, password }, 'Sign in');
    else if (offers('Allow')) current = await browser.submit(current, scopes ? { scope: scopes } : {}, press);
    else if (offers('Continue')) current = await browser.submit(current, {}, 'Continue');
    else break;
  }
  return {
    get callback() {
      if (!(current instanceof URL))
        throw new Error(`Expected a redirect to the application, but got:\n${current.text}`);
      return current;
    },
    get page() {
      if (current instanceof URL) throw new Error(`Expected a page, but was redirected to ${current.href}`);
      return current;
    },
    browser,
  };
}
