/** A piece of a page: what stands in it may be shown as it is. */
export class Html {
  constructor(private readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What may stand in a page. Nothing is written for what is absent. */
export type Content = Html | string | number | undefined | false | readonly Content[];

/**
 * A piece of a page. Whatever is put in is text, with all that means something in HTML escaped, unless it is such a piece
 * itself. Good between tags and in attributes that stand in double quotes, which all of ours do.
 */
export const html = (strings: TemplateStringsArray, ...values: readonly Content[]): Html =>
  new Html(String.raw({ raw: strings }, ...values.map(written)));

function written(value: Content): string {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(written).join('');
  return value === undefined || value === false ? '' : escaped(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Without what ends text or an attribute, and what turns the direction of writing around, so that text reads as another. */
const escaped = (text: string) =>
  text
    .replace(/[&<>"'`]/g, (character) => ENTITIES[character]!)
    .replace(/\p{Bidi_Control}|[^\P{Cc}\n\t]/gu, '\ufffd');
