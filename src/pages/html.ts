/** HTML that is inserted into a page without escaping. */
export class Html {
  constructor(private readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** A value in a template. `undefined` and `false` render as nothing. */
export type HtmlContent = Html | string | number | undefined | false | readonly HtmlContent[];

/**
 * A template tag that escapes all values except {@link Html}. Values are safe between tags and in attributes with double quotes,
 * not elsewhere.
 */
export const html = (strings: TemplateStringsArray, ...values: readonly HtmlContent[]): Html =>
  new Html(String.raw({ raw: strings }, ...values.map(render)));

function render(value: HtmlContent): string {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(render).join('');
  return value === undefined || value === false ? '' : escape(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Also replaces control characters, and bidirectional ones, which can make text display as different text. */
const escape = (text: string) =>
  text
    .replace(/[&<>"'`]/g, (character) => ENTITIES[character]!)
    .replace(/\p{Bidi_Control}|[^\P{Cc}\n\t]/gu, '\ufffd');
