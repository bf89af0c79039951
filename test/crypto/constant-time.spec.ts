import { describe, expect, it } from '@jest/globals';
import { constantTimeEqual } from '../../src/crypto/constant-time.js';

describe('constantTimeEqual', () => {
  it.each([
    ['equal texts', 'secret', 'secret', true],
    ['different texts', 'secret', 'secreT', false],
    ['a prefix', 'secret', 'secre', false],
    ['text and the same bytes', 'é', Buffer.from('é'), true],
    ['an empty and a non-empty text', '', 'a', false],
  ])('compares %s', (_, left, right, equal) => {
    expect(constantTimeEqual(left, right)).toBe(equal);
  });
});
