import { AuditEvent } from './audit/audit-event.entity.js';
import type { Policy, Rules } from './authorization/policy-types.js';
import { SECOND_FACTOR, provesSecondFactor } from './authentication/factors.js';
import { isRecent, type Principal } from './authentication/principal.js';
import { Document, type DocumentShare } from './documents/document.entity.js';
import { User } from './users/user.entity.js';

const CONTENT = ['title', 'body', 'notes', 'status', 'classification'];
const ALL_FIELDS = ['id', 'tenantId', 'ownerId', ...CONTENT, 'version', 'createdAt', 'updatedAt', 'shares'];
const READER_FIELDS = ALL_FIELDS.filter((field) => field !== 'notes' && field !== 'shares');
const AUDITOR_FIELDS = ALL_FIELDS.filter((field) => field !== 'body');
/** `shares` has a route of its own, which writes one user at a time. */
const WRITABLE_FIELDS = [...CONTENT, 'shares'];

const SECOND_FACTOR_MAX_AGE_SECONDS = 5 * 60;

function everyone(me: Principal, { can, cannot }: Rules): void {
  const inMyTenant = { tenantId: me.tenantId };

  can('read', Document, READER_FIELDS, {
    ...inMyTenant,
    status: 'published',
    classification: { $in: ['public', 'internal'] },
  });
  can('read', Document, READER_FIELDS, { ...inMyTenant, ...sharedWith(me, 'read', 'update') });
  can(['update', 'set'], Document, ['title', 'body'], { ...inMyTenant, ...sharedWith(me, 'update') });

  if (!hasSenderConstrainedProof(me))
    cannot(['create', 'read', 'update', 'set', 'delete'], Document, { classification: 'secret' }).because(
      'A secret document requires a sender-constrained credential: mTLS, DPoP or a signature.',
    );
  if (!hasRecentSecondFactor(me)) {
    const aboveInternal = { classification: { $in: ['confidential' as const, 'secret' as const] } };
    const stepUp = { acr: SECOND_FACTOR, maxAge: SECOND_FACTOR_MAX_AGE_SECONDS };
    cannot('delete', Document, aboveInternal).because(
      'Deleting a confidential or secret document requires a second factor from the last 5 minutes.',
      stepUp,
    );
    // Otherwise a caller could lower the classification first, and then delete.
    cannot('update', Document, ['classification'], aboveInternal).because(
      'Reclassifying a confidential or secret document requires a second factor from the last 5 minutes.',
      stepUp,
    );
  }
  if (!me.roles.includes('admin'))
    cannot('set', Document, ['classification'], {
      classification: { $in: ['confidential', 'secret'] },
    }).because('Only an admin may classify a document above internal.');
}

/** All rules of the application. An action that no rule grants is denied. */
export const policy: Policy = {
  everyone,

  roles: {
    viewer: () => {},

    editor: (me, { can }) => {
      const mine = { tenantId: me.tenantId, ownerId: me.id };
      const myDrafts = { ...mine, status: 'draft' as const };
      can('create', Document, WRITABLE_FIELDS, myDrafts);
      can('read', Document, ALL_FIELDS, mine);
      can('update', Document, WRITABLE_FIELDS, myDrafts);
      can('set', Document, WRITABLE_FIELDS, { ...mine, status: { $in: ['draft', 'published'] } });
      can('delete', Document, myDrafts);
    },

    auditor: (me, { can, cannot }) => {
      const inMyTenant = { tenantId: me.tenantId };
      can('read', Document, AUDITOR_FIELDS, inMyTenant);
      cannot('read', Document, ['body']).because('An auditor may not read the body of a document.');
      can('read', AuditEvent, inMyTenant);
    },

    admin: (me, { can, cannot }) => {
      const inMyTenant = { tenantId: me.tenantId };
      can('create', Document, WRITABLE_FIELDS, { ...inMyTenant, ownerId: me.id });
      can('read', Document, ALL_FIELDS, inMyTenant);
      can(['update', 'set'], Document, WRITABLE_FIELDS, inMyTenant);
      can('delete', Document, inMyTenant);
      can('read', AuditEvent, inMyTenant);
      // Machine accounts and their credentials, because these accounts have no sign-in.
      can(['create', 'read', 'update'], User, { ...inMyTenant, kind: 'client' });
      // People: to invite, to disable and to give roles. Their credentials are their own.
      can(['create', 'read'], User, { ...inMyTenant, kind: 'user' });
      can('update', User, ['disabledAt', 'roles', 'mfaSince'], { ...inMyTenant, kind: 'user' });
      // `mfaSince`: recovery, which removes the second factors.
      if (!hasRecentSecondFactor(me))
        cannot('update', User, ['mfaSince']).because(
          'Recovering an account requires a second factor from the last 5 minutes.',
          { acr: SECOND_FACTOR, maxAge: SECOND_FACTOR_MAX_AGE_SECONDS },
        );
      cannot('update', User, ['mfaSince'], { id: me.id }).because(
        'Another administrator must recover your own account.',
      );
    },
  },

  scopes: {
    'documents:read': [{ subject: Document, actions: ['read'] }],
    'documents:write': [{ subject: Document, actions: ['create', 'update', 'set'] }],
    'documents:delete': [{ subject: Document, actions: ['delete'] }],
    'audit:read': [{ subject: AuditEvent, actions: ['read'] }],
  },

  authorizationDetails: {
    document: {
      subject: Document,
      actions: { read: ['read'], update: ['update', 'set'], delete: ['delete'] },
    },
  },
};

function hasSenderConstrainedProof({ proofs }: Principal): boolean {
  return proofs.some((proof) => proof.bound);
}

function hasRecentSecondFactor({ proofs }: Principal): boolean {
  return proofs.some(
    (proof) => provesSecondFactor(proof.amr) && isRecent(proof, SECOND_FACTOR_MAX_AGE_SECONDS),
  );
}

/** A share with the owner counts for nothing: it would outlast the owner's own rights. */
function sharedWith({ id }: Principal, ...levels: DocumentShare['level'][]) {
  return { ownerId: { $ne: id }, shares: { $elemMatch: { userId: id, level: { $in: levels } } } };
}
