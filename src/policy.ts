import { AuditEvent } from './audit/audit-event.entity.js';
import type { Policy, Rules } from './authorization/rules.js';
import { SECOND_FACTOR, type Principal } from './authentication/principal.js';
import { Document, type DocumentShare } from './documents/document.entity.js';

const CONTENT = ['title', 'body', 'notes', 'status', 'classification'];
const EVERY_FIELD = ['id', 'tenantId', 'ownerId', ...CONTENT, 'version', 'createdAt', 'updatedAt', 'shares'];
const without = (...fields: string[]) => EVERY_FIELD.filter((field) => !fields.includes(field));
const FOR_READERS = without('notes', 'shares');
const FOR_AUDITORS = without('body');
/** `shares` is written one user at a time, by its own route. */
const WRITABLE = [...CONTENT, 'shares'];

const FIVE_MINUTES = 5 * 60_000;
const DELETING_NEEDS_A_SECOND_FACTOR =
  'Deleting a confidential or secret document requires a second factor from the last 5 minutes.';
/** What counts as a second factor, in the words of RFC 8176: several factors, a one-time code, a key in hardware. */
const SECOND_FACTORS = [SECOND_FACTOR, 'otp', 'hwk'];

const isBound = ({ proofs }: Principal) => proofs.some((proof) => proof.bound);
const hasFreshSecondFactor = ({ proofs }: Principal) =>
  proofs.some(
    ({ amr, at }) =>
      amr.some((method) => SECOND_FACTORS.includes(method)) && Date.now() - at.getTime() < FIVE_MINUTES,
  );
const sharedWith = ({ id }: Principal, ...levels: DocumentShare['level'][]) => ({
  shares: { $elemMatch: { userId: id, level: { $in: levels } } },
});

function everyone(me: Principal, { can, cannot }: Rules): void {
  const ours = { tenantId: me.tenantId };
  can('read', Document, FOR_READERS, {
    ...ours,
    status: 'published',
    classification: { $in: ['public', 'internal'] },
  });
  can('read', Document, FOR_READERS, { ...ours, ...sharedWith(me, 'read', 'update') });
  can(['update', 'set'], Document, ['title', 'body'], { ...ours, ...sharedWith(me, 'update') });

  if (!isBound(me))
    cannot(['create', 'read', 'update', 'set', 'delete'], Document, { classification: 'secret' }).because(
      'A secret document requires a sender-constrained credential: mTLS, DPoP or a signature.',
    );
  if (!hasFreshSecondFactor(me))
    cannot('delete', Document, { classification: { $in: ['confidential', 'secret'] } }).because(
      DELETING_NEEDS_A_SECOND_FACTOR,
    );
  if (!me.roles.includes('admin'))
    cannot('set', Document, ['classification'], {
      classification: { $in: ['confidential', 'secret'] },
    }).because('Only an admin may classify a document above internal.');
}

/** All rules of the application. What no sentence here allows is forbidden. */
export const policy: Policy = {
  everyone,

  roles: {
    viewer: () => {},

    editor: (me, { can }) => {
      const mine = { tenantId: me.tenantId, ownerId: me.id };
      const myDrafts = { ...mine, status: 'draft' as const };
      can('create', Document, WRITABLE, myDrafts);
      can('read', Document, EVERY_FIELD, mine);
      can('update', Document, WRITABLE, myDrafts);
      can('set', Document, WRITABLE, { ...mine, status: { $in: ['draft', 'published'] } });
      can('delete', Document, myDrafts);
    },

    auditor: (me, { can, cannot }) => {
      can('read', Document, FOR_AUDITORS, { tenantId: me.tenantId });
      cannot('read', Document, ['body']).because('An auditor may not read the body of a document.');
      can('read', AuditEvent, { tenantId: me.tenantId });
    },

    admin: (me, { can }) => {
      const ours = { tenantId: me.tenantId };
      can('create', Document, WRITABLE, { ...ours, ownerId: me.id });
      can('read', Document, EVERY_FIELD, ours);
      can(['update', 'set'], Document, WRITABLE, ours);
      can('delete', Document, ours);
      can('read', AuditEvent, ours);
    },
  },

  scopes: {
    'documents:read': [[Document, ['read']]],
    'documents:write': [[Document, ['create', 'update', 'set']]],
    'documents:delete': [[Document, ['delete']]],
    'audit:read': [[AuditEvent, ['read']]],
  },

  details: {
    document: [Document, { read: ['read'], update: ['update', 'set'], delete: ['delete'] }],
  },

  stepUps: {
    [DELETING_NEEDS_A_SECOND_FACTOR]: { acr: SECOND_FACTOR, maxAge: FIVE_MINUTES / 1000 },
  },
};
