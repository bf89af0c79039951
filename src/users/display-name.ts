const MAX_CHARACTERS = 100;

/** The rule, for messages. */
export const DISPLAY_NAME_RULE = `1 to ${MAX_CHARACTERS} characters, none of them invisible`;

/** Control, format, private and unassigned characters: they hide or reorder text. Emoji need variation selectors (VS). */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]|(?!\p{VS})\p{DI}/u;
const VISIBLE = /[^\p{VS}\s]/u;

/**
 * The canonical form of a name that pages show: of an account or of an OAuth client.
 * @returns undefined if the text cannot be such a name
 */
export function normalizeDisplayName(text: string): string | undefined {
  const name = text.normalize('NFC').trim();
  if (INVISIBLE.test(text) || !VISIBLE.test(name)) return undefined;
  return [...name].length <= MAX_CHARACTERS ? name : undefined;
}

/** @throws Error with a sentence for the operator */
export function checkedDisplayName(text: string): string {
  const name = normalizeDisplayName(text);
  if (name === undefined) throw new Error(`A name has ${DISPLAY_NAME_RULE}.`);
  return name;
}
