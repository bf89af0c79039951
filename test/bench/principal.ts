import type { Principal } from '../../src/authentication/principal.js';

/** The body of the open route and of the bare servers. */
export const PRINCIPAL: Principal = {
  id: 'bob',
  kind: 'user',
  tenantId: 'acme',
  roles: ['editor'],
  proofs: [{ method: 'none' as never, at: new Date(), amr: [], bound: false }],
};
