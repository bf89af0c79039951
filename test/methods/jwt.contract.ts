import type { AuthRequest } from '../../src/authentication/request.js';
import { withJwt } from '../../src/methods/jwt/jwt.client.js';
import { TokenFamily } from '../../src/methods/jwt/jwt.entity.js';
import { JwtGuard } from '../../src/methods/jwt/jwt.guard.js';
import { JwtService } from '../../src/methods/jwt/jwt.service.js';
import { User } from '../../src/users/user.entity.js';
import { jwtOf, wide } from '../support/wide-jwt.js';
import type { Contract, Running } from '../method.contract.js';

/** A well-formed token that is signed with an unknown key. */
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const somebodys = [
  encode({ alg: 'ES256', typ: 'at+jwt', kid: 'nobody' }),
  // The issuer of the application in tests.
  encode({ iss: 'http://localhost:0', sub: 'bob' }),
  Buffer.alloc(64, 1).toString('base64url'),
].join('.');

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** Issues tokens, as a sign-in does. */
async function signIn({ app, db }: Running, userId: string) {
  const user = await db.manager.findOneByOrFail(User, { id: userId });
  const proof = { method: 'jwt', at: new Date(), amr: ['pwd'], bound: false } as const;
  return app.get(JwtService).issue({ ...user, proofs: [proof] }, { headers: {} } as AuthRequest, user.epoch);
}

export const contract: Contract = {
  name: 'jwt',
  managesCredentials: true,
  challenge: 'Bearer realm="auth-atlas"',
  code: 'invalid_token',
  guard: JwtGuard,
  endsWithSignIns: true,
  header: 'Authorization',
  empty: { Authorization: 'Bearer' },
  malformed: [bearer('a.b.c'), bearer('...'), bearer(`${somebodys}.`), bearer(`${somebodys} ${somebodys}`)],
  costly: { headers: bearer(jwtOf({ alg: 'ES256' }, { iss: 'http://localhost:0', ...wide(1_200) })) },
  unknown: bearer(somebodys),
  issue: async (running, userId) => {
    const response = await signIn(running, userId);
    const { db } = running;
    const { sid: id } = JSON.parse(
      Buffer.from(response.access_token.split('.')[1]!, 'base64url').toString(),
    ) as { sid: string };
    const change = async (changes: Partial<TokenFamily>) =>
      void (await db.manager.update(TokenFamily, { id }, changes));
    return {
      sign: withJwt(response.access_token),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
  many: async (running, userId, count) => {
    const tokens: Record<string, string>[] = [];
    for (let i = 0; i < count; i++) tokens.push(bearer((await signIn(running, userId)).access_token));
    return tokens;
  },
};
