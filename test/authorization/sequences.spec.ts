import { describe, expect, it } from '@jest/globals';
import { AbilityFactory } from '../../src/authorization/ability.factory.js';
import type { AppAbility } from '../../src/authorization/app-ability.js';
import type { Role } from '../../src/authentication/principal.js';
import { CLASSIFICATIONS, Document, DocumentShare, STATUSES } from '../../src/documents/document.entity.js';
import { policy } from '../../src/policy.js';
import { ROLES } from '../../src/permissions.js';
import { PROOFS } from './authorization.matrix.js';

type Changes = Partial<Pick<Document, 'title' | 'status' | 'classification'>>;
/** A PATCH with these changes, or a DELETE. */
type Write = Changes | 'delete';

const PATCHES: Changes[] = [
  { title: 'after' },
  ...STATUSES.map((status) => ({ status })),
  ...CLASSIFICATIONS.map((classification) => ({ classification })),
];
const WRITES: Write[] = [...PATCHES, 'delete'];

/** Every role and every pair of roles, with every kind of proof. */
const CALLERS = ROLES.flatMap((first, i) =>
  ROLES.slice(i).flatMap((second) =>
    Object.entries(PROOFS).map(([proof, at]) => ({ roles: [...new Set([first, second])], proof, at })),
  ),
);

const SHARES = [undefined, 'read', 'update'] as const;
const DOCUMENTS = ['bob', 'alice'].flatMap((ownerId) =>
  SHARES.flatMap((level) =>
    STATUSES.flatMap((status) =>
      CLASSIFICATIONS.map((classification) =>
        Object.assign(new Document(), {
          id: 'x',
          tenantId: 'acme',
          ownerId,
          title: 'before',
          body: '',
          notes: '',
          status,
          classification,
          version: 1,
          createdAt: new Date(),
          updatedAt: new Date(),
          shares: level
            ? [Object.assign(new DocumentShare(), { documentId: 'x', userId: 'bob', level })]
            : [],
        }),
      ),
    ),
  ),
);

const abilityOf = (roles: readonly Role[], proof: keyof typeof PROOFS): AppAbility =>
  new AbilityFactory(policy).for({
    id: 'bob',
    kind: 'user',
    tenantId: 'acme',
    roles,
    proofs: [PROOFS[proof](Date.now())],
  });

const patched = (document: Document, changes: Changes): Document =>
  Object.assign(new Document(), document, changes);

/** Repeats the checks of `DocumentsService` before a write. */
function allows(ability: AppAbility, document: Document, write: Write): boolean {
  if (!ability.can('read', document)) return false;
  if (write === 'delete') return ability.can('delete', document);
  const after = patched(document, write);
  return Object.keys(write).every(
    (field) => ability.can('update', document, field) && ability.can('set', after, field),
  );
}

/** The one write that has the effect of two. Undefined if they change nothing. */
function inOne(document: Document, first: Changes, second: Write): Write | undefined {
  if (second === 'delete') return second;
  const changes = Object.entries({ ...first, ...second }).filter(
    ([field, value]) => document[field as keyof Changes] !== value,
  );
  return changes.length ? Object.fromEntries(changes) : undefined;
}

describe('sequences of writes', () => {
  it.each([...new Set(CALLERS.map(({ roles }) => roles.join(' and ')))])(
    'of a caller with the role %s reach nothing that one write is denied',
    (name) => {
      const reached: string[] = [];
      for (const { roles, proof } of CALLERS.filter((each) => each.roles.join(' and ') === name)) {
        const ability = abilityOf(roles, proof as keyof typeof PROOFS);
        for (const document of DOCUMENTS)
          for (const first of PATCHES.filter((write) => allows(ability, document, write)))
            for (const second of WRITES) {
              if (!allows(ability, patched(document, first), second)) continue;
              const one = inOne(document, first, second);
              if (one === undefined || allows(ability, document, one)) continue;
              const { ownerId, status, classification, shares } = document;
              const state = [ownerId, status, classification, shares[0]?.level];
              reached.push(JSON.stringify([proof, state, first, second]));
            }
      }
      expect(reached).toEqual([]);
    },
  );

  it('of an owner do not keep a right by a share with the owner', () => {
    const ability = abilityOf(['editor'], 'password');
    const mine = DOCUMENTS.find(
      ({ ownerId, status, shares }) =>
        ownerId === 'bob' && status === 'published' && shares[0]?.level === 'update',
    )!;
    expect(allows(ability, mine, { title: 'after' })).toBe(false);
  });
});
