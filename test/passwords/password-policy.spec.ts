import { describe, expect, it } from '@jest/globals';
import { passwordFaults } from '../../src/passwords/password-policy.js';

const alone = { username: 'caroline', onlyFactor: true };
const beside = { ...alone, onlyFactor: false };

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
  ])('may be any text that is long enough: %j', (password) => {
    expect(passwordFaults(password, alone)).toEqual([]);
  });

  it('has at least 15 characters where it stands alone, and 8 beside a second factor', () => {
    expect(passwordFaults('xkqj vbnm plrt', alone)).toEqual([LENGTH(15)]);
    expect(passwordFaults('xkqj vbnm plrtw', alone)).toEqual([]);
    expect(passwordFaults('xkqjvbn', beside)).toEqual([LENGTH(8)]);
    expect(passwordFaults('xkqjvbnm', beside)).toEqual([]);
    expect(passwordFaults('', beside)).toEqual([LENGTH(8)]);
  });

  it('has at most 128 characters', () => {
    const text = (length: number) => 'the quick brown fox jumps over '.repeat(5).slice(0, length - 1) + '!';
    expect(passwordFaults(text(128), alone)).toEqual([]);
    expect(passwordFaults(text(129), alone)).toEqual([LONG]);
  });

  it('is counted in characters, as it is hashed: an emoji is one, and so is an accented letter typed as two', () => {
    expect(passwordFaults('🐎🔋📎🦄🐙🍄🌵', beside)).toEqual([LENGTH(8)]);
    expect(passwordFaults('🐎🔋📎🦄🐙🍄🌵🎲', beside)).toEqual([]);
    expect(passwordFaults('xkqjvbe\u0301', beside)).toEqual([LENGTH(8)]);
    expect(passwordFaults('xkqjvbne\u0301', beside)).toEqual([]);
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
  ])('ACCOUNT-02: is none of the common ones, also not one repeated: %j', (password) => {
    expect(passwordFaults(password, beside)).toEqual([COMMON]);
  });

  it.each(['aaaaaaaaaaaaaaaa', '               ', '🐎'.repeat(16), 'x x x x x x x x x', '               x'])(
    'ACCOUNT-02: is not one character repeated: %j',
    (password) => {
      expect(passwordFaults(password, alone)).toEqual([REPEATED]);
    },
  );

  it.each([
    'my name is Caroline!',
    'CAROLINEcaroline+',
    'xx-c.a.r.o.l.i.n.e-xx',
    'ｃａｒｏｌｉｎｅ ｈｅｒｅ　ａｇａｉｎ',
  ])('ACCOUNT-03: does not contain the username, however it is written: %j', (password) => {
    expect(passwordFaults(password, alone)).toEqual([NAME]);
  });

  it('ACCOUNT-03: nor the part of it before an @', () => {
    const context = { username: 'caroline@example.com', onlyFactor: true };
    expect(passwordFaults('my name is Caroline!', context)).toEqual([NAME]);
    expect(passwordFaults('an example of my own', context)).toEqual([]);
  });

  it('may contain a username so short that it is in it by chance', () => {
    expect(passwordFaults('bobbing along the river', { username: 'bob', onlyFactor: true })).toEqual([]);
  });

  it.each(['auth-atlas-for-me', 'my Auth Atlas login', 'xx AUTHATLAS xx yy'])(
    'ACCOUNT-03: does not contain the name of the service: %j',
    (password) => {
      expect(passwordFaults(password, alone)).toEqual([PRODUCT]);
    },
  );

  it('is told all that speaks against it, and is not in what it is told', () => {
    const faults = passwordFaults('Caroline@AuthAtlas', alone);
    expect(faults).toEqual([NAME, PRODUCT]);
    expect(faults.join()).not.toMatch(/caroline|atlas/i);
  });
});
