/** An object with many short members, which take a JSON parser the longest. */
export const wide = (members: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: members }, (_, i) => [`x${i.toString(36)}`, 0]));

/** A JWT whose signature is wrong. */
export const jwtOf = (header: object, claims: object): string =>
  [
    ...[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')),
    Buffer.alloc(64).toString('base64url'),
  ].join('.');
