import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TokenPurpose } from '../../src/accounts/account-token.entity.js';
import { AccountTokens } from '../../src/accounts/account-tokens.service.js';
import { accountLink } from '../../src/accounts/mails.js';
import { boot, type Booted } from '../support/app.js';
import { newAccount } from './accounts.js';
import { open, shown } from './forms.js';

const EMAIL_CHANGE = { oldAddress: null, newAddress: 'new@acme.example' };

/** By the page of a link: the purposes of its tokens, with an example of their payload. */
const LINKS: Readonly<Record<string, Partial<Record<TokenPurpose, object>>>> = {
  'reset-password': { 'password-reset': { epoch: 0 } },
  'confirm-email': {
    'email-change-old': EMAIL_CHANGE,
    'email-change-new': EMAIL_CHANGE,
    'email-verification': {},
  },
  'cancel-deletion': { deletion: { disabledAt: new Date().toISOString() } },
  'cancel-recovery': { recovery: { actorId: 'alice' } },
  register: { registration: { name: null }, invitation: { tenantId: 'acme', role: 'viewer' } },
};

describe('the links of the mails', () => {
  let booted: Booted;
  let log = '';
  beforeAll(async () => (booted = await boot({ logTo: { write: (line) => void (log += line) } })));
  afterAll(() => booted.close());

  it('are all in this table', () => {
    const sources = readdirSync('src/accounts').filter((file) => file.endsWith('.service.ts'));
    const pages = sources.flatMap((file) => {
      const text = readFileSync(join('src/accounts', file), 'utf8');
      return [...text.matchAll(/accountLink\(\s*[^,]+,\s*'([\w-]+)'/g)].map(([, page]) => page);
    });
    expect(new Set(pages)).toEqual(new Set(Object.keys(LINKS)));
  });

  it.each(Object.entries(LINKS))('lead to a page: %s', async (page, purposes) => {
    const { id, address } = await newAccount(booted.db);
    for (const [purpose, payload] of Object.entries(purposes)) {
      const { token } = await booted.app.get(AccountTokens, { strict: false }).create(booted.db.manager, {
        purpose: purpose as 'email-verification',
        ...{ accountId: purpose === 'registration' ? null : id, address, payload, lifetimeMs: 60_000 },
      });
      const valid = await open(accountLink(booted.origin, page, token));
      expect([purpose, valid.status]).toEqual([purpose, 200]);
      expect(valid.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(await valid.text()).toContain(`<input type="hidden" name="token" value="${token}" />`);

      const altered = await open(accountLink(booted.origin, page, `${token}x`));
      expect(await shown(altered)).toEqual({
        status: 400,
        heading: 'This link does not work',
        errors: ['This link is invalid, expired or already used. Request a new one.'],
      });
      expect(log).toContain(`/account/${page}`);
      expect(log).not.toContain(token);
    }
  });

  it('serve only the page of their own purpose', async () => {
    const { id, address } = await newAccount(booted.db);
    for (const [page, purposes] of Object.entries(LINKS))
      for (const [purpose, payload] of Object.entries(purposes)) {
        const { token } = await booted.app.get(AccountTokens, { strict: false }).create(booted.db.manager, {
          purpose: purpose as 'email-verification',
          ...{ accountId: id, address, payload, lifetimeMs: 60_000 },
        });
        for (const other of Object.keys(LINKS)) {
          const { status } = await open(accountLink(booted.origin, other, token));
          expect([purpose, other, status]).toEqual([purpose, other, other === page ? 200 : 400]);
        }
      }
  });
});
