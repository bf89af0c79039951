import { withAccessToken } from '../../src/methods/oauth/oauth.client.js';
import { OauthGuard } from '../../src/methods/oauth/oauth.guard.js';
import { FORGED_JWT, issueAccessToken, type TokenOptions } from '../support/access-tokens.js';
import { jwtOf, wide } from '../support/wide-jwt.js';
import type { Contract } from '../method.contract.js';

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

const issue =
  (format: TokenOptions['format']): Contract['issue'] =>
  async (running, userId) => {
    const { token, revoke, expire } = await issueAccessToken(running, userId, { format });
    return { sign: withAccessToken(token), revoke, expire };
  };

export const contract: Contract = {
  name: 'oauth',
  challenge:
    'Bearer realm="auth-atlas", resource_metadata="http://localhost:…/.well-known/oauth-protected-resource"',
  code: 'invalid_token',
  guard: OauthGuard,
  endsWithSignIns: true,
  header: 'Authorization',
  empty: { Authorization: 'Bearer' },
  malformed: [
    bearer('a.b.c'),
    bearer('...'),
    bearer('short'),
    bearer(`${FORGED_JWT}.`),
    bearer(`${FORGED_JWT}=`),
    bearer(`${FORGED_JWT} ${FORGED_JWT}`),
    bearer('a'.repeat(600)),
  ],
  costly: { headers: bearer(jwtOf({ alg: 'ES256' }, { iss: 'http://localhost:0/oidc', ...wide(1_200) })) },
  unknown: bearer(FORGED_JWT),
  issue: issue('jwt'),
  also: { opaque: issue('opaque') },
  many: async (running, userId, count) => {
    const tokens: Record<string, string>[] = [];
    for (let i = 0; i < count; i++) tokens.push(bearer((await issueAccessToken(running, userId)).token));
    return tokens;
  },
};
