import { describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';
import { readPassword } from '../../src/cli/read-password.js';

const PASSWORD = 'a long enough päss phrase';
const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const read = (content: Buffer | string) => readPassword(Readable.from([Buffer.from(content)]));

describe('the password on standard input', () => {
  it.each([PASSWORD, `${PASSWORD}\n`, `${PASSWORD}\r\n`, `\ufeff${PASSWORD}\r\n`])(
    'is one line of UTF-8: %j',
    async (content) => expect(await read(content)).toBe(PASSWORD),
  );

  it('keeps its spaces, and a character that arrives in two pieces', async () => {
    const bytes = Buffer.from(` ${PASSWORD} `);
    const at = bytes.indexOf('ä') + 1;
    const stream = Readable.from([bytes.subarray(0, at), bytes.subarray(at)]);
    expect(await readPassword(stream)).toBe(` ${PASSWORD} `);
  });

  it.each<[string, Buffer | string, string]>([
    ['nothing', '', 'The password is too weak. It is empty'],
    ['a line break', '\r\n', 'The password is too weak. It is empty'],
    ['a byte order mark', '\ufeff\n', 'The password is too weak. It is empty'],
    ['two lines', `${PASSWORD}\nsecond\n`, 'The password must be one line.'],
    ['an empty second line', `${PASSWORD}\n\n`, 'The password must be one line.'],
    ['a carriage return', `${PASSWORD}\rsecond`, 'The password must be one line.'],
    ['a Unicode line separator', `${PASSWORD}\u2028second`, 'The password must be one line.'],
    ['a tab', `${PASSWORD}\t`, 'The password must not contain control characters.'],
    ['UTF-16', utf16(PASSWORD), 'The password must be UTF-8 text. This looks like UTF-16.'],
    ['UTF-16 with its mark', utf16(`\ufeff${PASSWORD}`), 'This looks like UTF-16.'],
    ['big-endian UTF-16', utf16(`\ufeff${PASSWORD}`).swap16(), 'This looks like UTF-16.'],
    ['UTF-16 without ASCII', utf16('\ufeffпарольпарольпароль'), 'This looks like UTF-16.'],
    ['Latin-1', Buffer.from(PASSWORD, 'latin1'), 'The password must be UTF-8 text.'],
    ['half a character', Buffer.from('long enough ä').subarray(0, -1), 'The password must be UTF-8 text.'],
  ])('is rejected if it is %s, without its text', async (_, content, message) => {
    const error = await read(content).catch(String);
    expect(error).toContain(message);
    expect(error).not.toContain('long enough');
  });
});
