import { describe, expect, it } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { client } from '../support/app.js';
import { withTestToken } from '../support/test-issuer.js';
import { bootWithPasskeys, signedIn, someone } from './passkey.accounts.js';
import { configOf } from './passkey.harness.js';

/** The interpreter of the test: set PYTHON to the path of one that has the package fido2. */
const python = process.env['PYTHON'] ?? '/usr/bin/python3';
const installed = spawnSync(python, ['-c', 'import fido2, cryptography']).status === 0;

describe(`passkeys of Python's fido2${installed ? '' : ': skipped, python3-fido2 is not installed'}`, () => {
  if (!installed) {
    it('is skipped: set PYTHON to the path of an interpreter', () => expect(installed).toBe(false));
    return;
  }

  it('register and sign in', async () => {
    const booted = await bootWithPasskeys();
    try {
      const id = await someone(booted);
      const { browser } = await signedIn(booted, id);
      const program = fileURLToPath(new URL('passkey.fido2.py', import.meta.url));
      const [page] = configOf(booted).origins;
      const { stdout } = await promisify(execFile)(python, [
        program,
        booted.origin,
        page!,
        browser.headers['Authorization']!,
      ]);
      const { registered, signedIn: status, body } = JSON.parse(stdout);
      expect([registered, status]).toEqual([201, 200]);
      const { body: me } = await client(booted.origin, withTestToken(body.test_token as string)).get('/me');
      expect(me).toMatchObject({ id, proofs: [{ amr: ['swk', 'user', 'mfa'] }] });
    } finally {
      await booted.close();
    }
  });
});
