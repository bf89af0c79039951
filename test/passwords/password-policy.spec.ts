import { describe, expect, it } from '@jest/globals';
import { passwordFaults } from '../../src/passwords/password-policy.js';

const onlyFactor = { username: 'caroline', onlyFactor: true };
const withSecondFactor = { ...onlyFactor, onlyFactor: false };

const LENGTH = (least: number) => `Must have at least ${least} characters.`;
const LONG = 'May have at most 128 characters.';
const COMMON = 'Must not be a common password.';
const REPEATED = 'Must not be one character repeated.';
const NAME = 'Must not contain the username.';
const PRODUCT = 'Must not contain the name of this service.';

describe('a new password', () => {
  it.each([
    'correct-horse-battery-staple',
    'this is all in lower case',
    '194027385610283',
    'Пятнадцать знаков',
    'пароль из многих слов',
    'パスワードは十五文字以上です。',
    '🐎🔋📎🦄🐙🍄🌵🎲🧭🪁🧵🪐🍋🦉🐌',
    '       a lot of space',
    '\u0000'.padEnd(15, 'NUL is a character'),
  ])('is accepted if it is long enough: %j', async (password) => {
    expect(await passwordFaults(password, onlyFactor)).toEqual([]);
  });

  it('has at least 15 characters as the only factor, and 8 beside a second factor', async () => {
    expect(await passwordFaults('xkqj vbnm plrt', onlyFactor)).toEqual([LENGTH(15)]);
    expect(await passwordFaults('xkqj vbnm plrtw', onlyFactor)).toEqual([]);
    expect(await passwordFaults('xkqjvbn', withSecondFactor)).toEqual([LENGTH(8)]);
    expect(await passwordFaults('xkqjvbnm', withSecondFactor)).toEqual([]);
    expect(await passwordFaults('', withSecondFactor)).toEqual([LENGTH(8)]);
  });

  it('does not contain the e-mail address, or the part before the @', async () => {
    const faults = ['Must not contain the e-mail address.'];
    const context = { ...onlyFactor, email: 'j.smith@acme.example' };
    for (const password of ['my name is J. Smith again', 'j.smith@acme.example'])
      expect(await passwordFaults(password, context)).toEqual(faults);
    expect(await passwordFaults('seventeen purple kettles', context)).toEqual([]);
  });

  it('has at most 128 characters', async () => {
    const text = (length: number) => 'the quick brown fox jumps over '.repeat(5).slice(0, length - 1) + '!';
    expect(await passwordFaults(text(128), onlyFactor)).toEqual([]);
    expect(await passwordFaults(text(129), onlyFactor)).toEqual([LONG]);
  });

  it('counts an emoji as one character, and a decomposed letter too', async () => {
    expect(await passwordFaults('🐎🔋📎🦄🐙🍄🌵', withSecondFactor)).toEqual([LENGTH(8)]);
    expect(await passwordFaults('🐎🔋📎🦄🐙🍄🌵🎲', withSecondFactor)).toEqual([]);
    expect(await passwordFaults('xkqjvbe\u0301', withSecondFactor)).toEqual([LENGTH(8)]);
    expect(await passwordFaults('xkqjvbne\u0301', withSecondFactor)).toEqual([]);
  });

  it.each([
    'password',
    'PassWord',
    'ｐａｓｓｗｏｒｄ',
    'p@ssw0rd',
    '12345678',
    'football',
    'passwordpassword',
    'password password',
    'PasswordPASSWORD',
    'dragondragondragon',
    '123123123123123123',
  ])('is rejected if it is common, or a common one repeated: %j', async (password) => {
    expect(await passwordFaults(password, withSecondFactor)).toEqual([COMMON]);
  });

  it.each(['aaaaaaaaaaaaaaaa', '               ', '🐎'.repeat(16), 'x x x x x x x x x', '               x'])(
    'is rejected if it is one character repeated: %j',
    async (password) => {
      expect(await passwordFaults(password, onlyFactor)).toEqual([REPEATED]);
    },
  );

  it.each([
    'my name is Caroline!',
    'CAROLINEcaroline+',
    'xx-c.a.r.o.l.i.n.e-xx',
    'ｃａｒｏｌｉｎｅ ｈｅｒｅ　ａｇａｉｎ',
  ])('is rejected if it contains the username in any spelling: %j', async (password) => {
    expect(await passwordFaults(password, onlyFactor)).toEqual([NAME]);
  });

  it('is rejected if it contains the part of the username before an @', async () => {
    const context = { username: 'caroline@example.com', onlyFactor: true };
    expect(await passwordFaults('my name is Caroline!', context)).toEqual([NAME]);
    expect(await passwordFaults('an example of my own', context)).toEqual([]);
  });

  it('may contain a username of fewer than four characters', async () => {
    expect(await passwordFaults('bobbing along the river', { username: 'bob', onlyFactor: true })).toEqual(
      [],
    );
  });

  it.each(['auth-atlas-for-me', 'my Auth Atlas login', 'xx AUTHATLAS xx yy'])(
    'is rejected if it contains the name of the service: %j',
    async (password) => {
      expect(await passwordFaults(password, onlyFactor)).toEqual([PRODUCT]);
    },
  );

  it('gets every fault at once, and no fault repeats it', async () => {
    const faults = await passwordFaults('Caroline@AuthAtlas', onlyFactor);
    expect(faults).toEqual([NAME, PRODUCT]);
    expect(faults.join()).not.toMatch(/caroline|atlas/i);
  });
});
