import { randomUUID } from 'node:crypto';
import { Settings } from '../../src/config/settings.js';
import { withSession } from '../../src/methods/session/session.client.js';
import { SessionCsrf } from '../../src/methods/session/session.csrf.js';
import { Session } from '../../src/methods/session/session.entity.js';
import { SessionGuard } from '../../src/methods/session/session.guard.js';
import { ABSOLUTE_TIMEOUT_MS, newSessionValue } from '../../src/methods/session/session.js';
import { User } from '../../src/users/user.entity.js';
import type { Contract } from '../method.contract.js';

/** The name of the cookie over plain HTTP, which tests use. */
const NAME = 'session-dev';
const cookie = (value: string) => `${NAME}=${value}`;
const nobodys = newSessionValue().value;

export const contract: Contract = {
  name: 'session',
  managesCredentials: true,
  challenge: `Cookie realm="auth-atlas", cookie-name="${NAME}", form-action="/auth/login"`,
  code: 'invalid_session',
  guard: SessionGuard,
  endsWithSignIns: true,
  header: 'Cookie',
  empty: { Cookie: cookie('') },
  malformed: [
    { Cookie: cookie(nobodys.slice(1)) },
    { Cookie: cookie(`${nobodys}x`) },
    { Cookie: cookie(`"${nobodys}"`) },
    { Cookie: cookie(` ${nobodys}`) },
    { Cookie: cookie(`${nobodys.slice(1)}=`) },
    { Cookie: cookie(`%${nobodys.slice(1)}`) },
  ],
  costly: { headers: { Cookie: `${'a;'.repeat(7_500)}${cookie(nobodys)}` } },
  unknown: { Cookie: `theme=dark; ${cookie(nobodys)}; other=1` },
  // Inserted directly: a method that signs in may not be installed.
  issue: async ({ app, db }, userId) => {
    const { value, hash } = newSessionValue();
    const { epoch, roles } = await db.manager.findOneByOrFail(User, { id: userId });
    const [id, now] = [randomUUID(), new Date()];
    await db.manager.insert(Session, {
      id,
      idHash: hash,
      previousHash: null,
      previousUntil: null,
      userId,
      epoch,
      roles: [...roles],
      scopes: null,
      amr: ['pwd'],
      authAt: now,
      createdAt: now,
      lastSeenAt: now,
      expiresAt: new Date(now.getTime() + ABSOLUTE_TIMEOUT_MS),
      revokedAt: null,
      userAgent: null,
      ip: '127.0.0.1',
    });
    const change = async (changes: Partial<Session>) =>
      void (await db.manager.update(Session, { id }, changes));
    return {
      sign: withSession({
        cookie: cookie(value),
        csrf: { token: app.get(SessionCsrf).tokenFor(id), origin: app.get(Settings).publicUrl },
      }),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
};
