import { describe, expect, it } from '@jest/globals';
import { AbilityFactory } from '../../src/authorization/ability.factory.js';
import { assertCan, assertFieldsWritable } from '../../src/authorization/assert-can.js';
import type { Action, AppAbility, Subject } from '../../src/authorization/app-ability.js';
import type { Policy, Rules } from '../../src/authorization/policy-types.js';
import { InsufficientCredential } from '../../src/authentication/step-up.js';
import type { AuthorizationDetail, Principal } from '../../src/authentication/principal.js';
import { SCOPES } from '../../src/permissions.js';

class Note {
  constructor(
    readonly ownerId: string | null,
    readonly sealed = false,
    readonly title = '',
    readonly body = '',
    readonly id = 'a',
  ) {}
}

const policy: Policy = {
  // The prohibition comes before the grants of the roles.
  everyone: (_, { cannot }) => {
    cannot(['update', 'delete'], Note, { sealed: true }).because('A sealed note cannot be changed.', {
      acr: 'mfa',
      maxAge: 300,
    });
  },
  roles: {
    admin: (_, { can }) => {
      can(['read', 'update', 'delete'], Note);
    },
    editor: (me, { can }) => {
      can('read', Note, { ownerId: me.id });
      can('update', Note, ['title'], { ownerId: me.id });
    },
    viewer: (_, { can }) => {
      can('read', Note);
    },
    auditor: () => {},
  },
  scopes: {
    ...(Object.fromEntries(SCOPES.map((scope) => [scope, []])) as unknown as Policy['scopes']),
    'documents:read': [{ subject: Note, actions: ['read'] }],
    'documents:write': [{ subject: Note, actions: ['read', 'update'] }],
    'documents:delete': [{ subject: Note, actions: ['delete'] }],
  },
  authorizationDetails: {
    document: { subject: Note, actions: { read: ['read'], update: ['update'], delete: ['delete'] } },
  },
};

/** Assumes that the principal has an id. */
const rulesWithoutIdCheck = (me: Principal, { can }: Rules) => {
  can('read', Note, { ownerId: me.id });
};

const bob = (roles: Principal['roles'], scopes?: readonly string[]): Principal => ({
  id: 'bob',
  kind: 'user',
  tenantId: 'acme',
  roles,
  proofs: [{ method: 'test', at: new Date(), amr: ['pwd'], bound: false }],
  ...(scopes && { scopes }),
});
const factory = new AbilityFactory(policy);
const abilityOf = (...who: Parameters<typeof bob>) => factory.for(bob(...who));

describe('AbilityFactory', () => {
  it('grants nothing that no rule grants', () => {
    expect(abilityOf([]).can('read', new Note('bob'))).toBe(false);
    expect(abilityOf(['auditor']).can('read', Note)).toBe(false);
    expect(abilityOf(['viewer']).can('update', Note)).toBe(false);
  });

  it('grants the union of all roles', () => {
    const ability = abilityOf(['viewer', 'editor']);
    expect(ability.can('read', new Note('alice'))).toBe(true);
    expect(ability.can('update', new Note('bob'), 'title')).toBe(true);
  });

  it('lets a prohibition win over a later grant', () => {
    const ability = abilityOf(['admin']);
    expect(ability.can('delete', new Note('bob'))).toBe(true);
    expect(ability.can('delete', new Note('bob', true))).toBe(false);
  });

  it('rejects with the reason of the prohibition', () => {
    expect(() => assertCan(abilityOf(['admin']), 'delete', new Note('bob', true))).toThrow(
      expect.objectContaining({
        response: { code: 'forbidden', detail: 'A sealed note cannot be changed.' },
      }),
    );
    expect(() => assertCan(abilityOf(['viewer']), 'delete', new Note('bob'))).toThrow(
      expect.objectContaining({ response: { code: 'forbidden', detail: 'You are not allowed to do this.' } }),
    );
  });

  it('rejects a policy with an undefined condition', () => {
    const broken = new AbilityFactory({ ...policy, roles: { ...policy.roles, editor: rulesWithoutIdCheck } });
    const { id: _, ...withoutId } = bob(['editor']);
    // CASL would grant every note without an owner.
    expect(() => broken.for(withoutId as Principal)).toThrow('"ownerId" is undefined');
  });

  it('makes an independent ability for each principal', () => {
    const [first, second] = [abilityOf(['editor']), factory.for({ ...bob(['editor']), id: 'carol' })];
    expect([first.can('read', new Note('bob')), first.can('read', new Note('carol'))]).toEqual([true, false]);
    expect([second.can('read', new Note('bob')), second.can('read', new Note('carol'))]).toEqual([
      false,
      true,
    ]);
  });
});

describe('scopes', () => {
  it('limit a role to the actions they permit', () => {
    const ability = abilityOf(['admin'], ['documents:read']);
    expect(ability.can('read', new Note('alice'))).toBe(true);
    expect(ability.can('update', new Note('alice'))).toBe(false);
    expect(ability.can('delete', new Note('alice'))).toBe(false);
  });

  it('grant nothing beyond the role', () => {
    const ability = abilityOf(['viewer'], [...SCOPES]);
    expect(ability.can('read', new Note('alice'))).toBe(true);
    expect(ability.can('update', new Note('alice'))).toBe(false);
  });

  it('keep the conditions and fields of the limited rules', () => {
    const ability = abilityOf(['editor'], ['documents:write']);
    expect(ability.can('update', new Note('bob'), 'title')).toBe(true);
    expect(ability.can('update', new Note('bob'), 'body')).toBe(false);
    expect(ability.can('update', new Note('alice'), 'title')).toBe(false);
  });

  it('permit their own subject only', () => {
    class Other {}
    const viewer = (_: Principal, { can }: Rules) => {
      can('read', [Note, Other]);
    };
    const ability = new AbilityFactory({ ...policy, roles: { ...policy.roles, viewer } }).for(
      bob(['viewer'], ['documents:read']),
    );
    expect([ability.can('read', Note), ability.can('read', Other)]).toEqual([true, false]);
  });

  it('do not lift a prohibition', () => {
    expect(abilityOf(['admin'], ['documents:delete']).can('delete', new Note('bob', true))).toBe(false);
  });

  it('are no limit if absent, and grant nothing if empty or unknown', () => {
    expect(abilityOf(['admin']).can('delete', Note)).toBe(true);
    expect(abilityOf(['admin'], []).can('read', Note)).toBe(false);
    expect(abilityOf(['admin'], ['documents:*', 'toString']).can('read', Note)).toBe(false);
  });
});

describe('authorization details', () => {
  const note = (id: string, ownerId = 'bob') => new Note(ownerId, false, '', '', id);
  const detailed = (details: readonly AuthorizationDetail[], scopes?: readonly string[]) =>
    factory.for({ ...bob(['editor'], scopes), authorizationDetails: details });
  const detail = (identifier: string, ...actions: AuthorizationDetail['actions']): AuthorizationDetail => ({
    type: 'document',
    identifier,
    actions,
  });

  it('limit a role to the rows they identify, each with its own actions', () => {
    const ability = detailed([detail('a', 'read'), detail('b', 'read', 'update')]);
    expect(ability.can('read', note('a'))).toBe(true);
    expect(ability.can('update', note('a'), 'title')).toBe(false);
    expect(ability.can('update', note('b'), 'title')).toBe(true);
    expect(ability.can('read', note('c'))).toBe(false);
  });

  it('grant nothing beyond the role', () => {
    const ability = detailed([detail('a', 'read', 'update', 'delete')]);
    expect(ability.can('read', note('a', 'alice'))).toBe(false);
    expect(ability.can('update', note('a'), 'body')).toBe(false);
    expect(ability.can('delete', note('a'))).toBe(false);
  });

  it('apply together with the scopes', () => {
    const ability = detailed([detail('a', 'read', 'update')], ['documents:delete']);
    expect(ability.can('read', note('a'))).toBe(false);
  });

  it('grant nothing of their subject if empty, and do not limit other subjects', () => {
    class Other {}
    const viewer = (_: Principal, { can }: Rules) => {
      can('read', [Note, Other]);
    };
    const ability = new AbilityFactory({ ...policy, roles: { ...policy.roles, viewer } }).for({
      ...bob(['viewer']),
      authorizationDetails: [],
    });
    expect([ability.can('read', Note), ability.can('read', Other)]).toEqual([false, true]);
  });
});

describe('the requirement of a denied action', () => {
  const requirementOf = (ability: AppAbility, action: Action, subject: Subject) => {
    try {
      assertCan(ability, action, subject);
      return 'permitted';
    } catch (error) {
      return error instanceof InsufficientCredential ? error.requirement : undefined;
    }
  };

  it('names the scopes if the role permits it and the scopes do not', () => {
    expect(requirementOf(abilityOf(['admin'], ['documents:read']), 'delete', new Note('bob'))).toEqual({
      scopes: ['documents:delete'],
    });
    expect(requirementOf(abilityOf(['admin'], []), 'read', Note)).toEqual({
      scopes: ['documents:read', 'documents:write'],
    });
  });

  it('names the step-up that lifts the prohibition', () => {
    const stepUp = { acr: 'mfa', maxAge: 300 };
    expect(requirementOf(abilityOf(['admin']), 'delete', new Note('bob', true))).toEqual(stepUp);
    expect(
      requirementOf(abilityOf(['admin'], ['documents:delete']), 'delete', new Note('bob', true)),
    ).toEqual(stepUp);
  });

  it('names the scopes first if the step-up is missing as well', () => {
    expect(requirementOf(abilityOf(['admin'], ['documents:read']), 'delete', new Note('bob', true))).toEqual({
      scopes: ['documents:delete'],
    });
  });

  it('names the scopes as the reason of the 403', () => {
    const denied =
      (...who: Parameters<typeof bob>) =>
      () =>
        assertCan(abilityOf(...who), 'delete', new Note('bob'));
    const detail = (text: string) =>
      expect.objectContaining({ response: { code: 'forbidden', detail: text } });
    expect(denied(['admin'], ['documents:read'])).toThrow(
      detail("The credential's scopes do not allow this."),
    );
    expect(denied(['viewer'], ['documents:read'])).toThrow(detail('You are not allowed to do this.'));
  });

  it('is absent if the role does not permit it', () => {
    expect(
      requirementOf(abilityOf(['viewer'], ['documents:read']), 'delete', new Note('bob')),
    ).toBeUndefined();
    expect(requirementOf(abilityOf(['viewer']), 'delete', new Note('bob', true))).toBeUndefined();
    expect(requirementOf(abilityOf(['admin']), 'delete', new Note('bob'))).toBe('permitted');
  });

  it('is absent if no step-up lifts the prohibition', () => {
    const everyone = (_: Principal, { cannot }: Rules) =>
      cannot('delete', Note, { sealed: true }).because('A sealed note cannot be deleted.');
    const ability = new AbilityFactory({ ...policy, everyone }).for(bob(['admin'], ['documents:delete']));
    expect(requirementOf(ability, 'delete', new Note('bob', true))).toBeUndefined();
  });
});

describe('attacks', () => {
  it('a check of the row rejects a row that a check of its type would pass', () => {
    const ability = abilityOf(['editor']);
    expect(ability.can('read', Note)).toBe(true);
    expect(() => assertCan(ability, 'read', new Note('alice'))).toThrow();
  });

  it('a check of the written fields rejects a field that a check of the row would pass', () => {
    const ability = abilityOf(['editor']);
    expect(ability.can('update', new Note('bob'))).toBe(true);
    expect(() => assertFieldsWritable(ability, 'update', new Note('bob'), { body: '' })).toThrow();
  });

  it('no order of rules undoes a prohibition', () => {
    const grantFirst: Policy = {
      ...policy,
      everyone: (me, rules) => {
        policy.roles.admin(me, rules);
        policy.everyone(me, rules);
      },
    };
    for (const each of [policy, grantFirst])
      expect(new AbilityFactory(each).for(bob(['admin'])).can('update', new Note('bob', true))).toBe(false);
  });

  it('an object cannot claim another subject type', () => {
    const ability = abilityOf(['admin']);
    const body = JSON.parse('{"__caslSubjectType__":"Note","constructor":"Note","ownerId":"bob"}') as object;
    expect(ability.can('read', body)).toBe(false);
    expect(ability.can('read', Object.assign(Object.create(null) as object, body))).toBe(false);
    const sealed = Object.assign(new Note('bob', true), { __caslSubjectType__: 'Other' });
    expect(ability.can('delete', sealed)).toBe(false);
    expect(ability.can('delete', new Proxy(sealed, {}))).toBe(false);
    expect(ability.can('read', sealed)).toBe(true);
  });

  it('scope and role both limit', () => {
    expect(abilityOf(['viewer'], ['documents:delete']).can('delete', new Note('bob'))).toBe(false);
    expect(abilityOf(['admin'], ['documents:read']).can('delete', new Note('bob'))).toBe(false);
  });
});
