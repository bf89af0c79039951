import { describe, expect, it } from '@jest/globals';
import { AbilityFactory } from '../../src/authorization/ability.factory.js';
import { assertCan, assertFieldsWritable } from '../../src/authorization/assert-can.js';
import type { Action, AppAbility, Policy, Rules, Subject } from '../../src/authorization/rules.js';
import { InsufficientCredential } from '../../src/authentication/challenge.js';
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
  // The prohibition stands first, before any role has granted anything.
  everyone: (_, { cannot }) => {
    cannot(['update', 'delete'], Note, { sealed: true }).because('A sealed note stays as it is.');
  },
  roles: {
    admin: (_, { can }) => void can(['read', 'update', 'delete'], Note),
    editor: (me, { can }) => {
      can('read', Note, { ownerId: me.id });
      can('update', Note, ['title'], { ownerId: me.id });
    },
    viewer: (_, { can }) => void can('read', Note),
    auditor: () => {},
  },
  scopes: {
    'documents:read': [[Note, ['read']]],
    'documents:write': [[Note, ['read', 'update']]],
    'documents:delete': [[Note, ['delete']]],
    'audit:read': [],
  },
  details: { document: [Note, { read: ['read'], update: ['update'], delete: ['delete'] }] },
  stepUps: { 'A sealed note stays as it is.': { acr: 'mfa', maxAge: 300 } },
};

/** Trusts that there is an id. */
const careless = (me: Principal, { can }: Rules) => void can('read', Note, { ownerId: me.id });

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

  it('adds up the roles', () => {
    const ability = abilityOf(['viewer', 'editor']);
    expect(ability.can('read', new Note('alice'))).toBe(true);
    expect(ability.can('update', new Note('bob'), 'title')).toBe(true);
  });

  it('lets a prohibition win, although the grant comes after it', () => {
    const ability = abilityOf(['admin']);
    expect(ability.can('delete', new Note('bob'))).toBe(true);
    expect(ability.can('delete', new Note('bob', true))).toBe(false);
  });

  it('says why', () => {
    expect(() => assertCan(abilityOf(['admin']), 'delete', new Note('bob', true))).toThrow(
      expect.objectContaining({ response: { code: 'forbidden', detail: 'A sealed note stays as it is.' } }),
    );
    expect(() => assertCan(abilityOf(['viewer']), 'delete', new Note('bob'))).toThrow(
      expect.objectContaining({ response: { code: 'forbidden', detail: 'You are not allowed to do this.' } }),
    );
  });

  it('does not start an ability whose rule has lost its value', () => {
    const broken = new AbilityFactory({ ...policy, roles: { ...policy.roles, editor: careless } });
    const { id: _, ...nobody } = bob(['editor']);
    // CASL would let nobody read every note that has no owner.
    expect(() => broken.for(nobody as Principal)).toThrow('"ownerId" is undefined');
  });

  it('keeps no principal in mind: each ability is its own', () => {
    const [first, second] = [abilityOf(['editor']), factory.for({ ...bob(['editor']), id: 'carol' })];
    expect([first.can('read', new Note('bob')), first.can('read', new Note('carol'))]).toEqual([true, false]);
    expect([second.can('read', new Note('bob')), second.can('read', new Note('carol'))]).toEqual([
      false,
      true,
    ]);
  });
});

describe('scopes are a ceiling', () => {
  it('a role keeps only what the scopes name', () => {
    const ability = abilityOf(['admin'], ['documents:read']);
    expect(ability.can('read', new Note('alice'))).toBe(true);
    expect(ability.can('update', new Note('alice'))).toBe(false);
    expect(ability.can('delete', new Note('alice'))).toBe(false);
  });

  it('a scope that is wider than the role gives nothing more', () => {
    const ability = abilityOf(['viewer'], [...SCOPES]);
    expect(ability.can('read', new Note('alice'))).toBe(true);
    expect(ability.can('update', new Note('alice'))).toBe(false);
  });

  it('keeps the conditions and the fields of what it cuts', () => {
    const ability = abilityOf(['editor'], ['documents:write']);
    expect(ability.can('update', new Note('bob'), 'title')).toBe(true);
    expect(ability.can('update', new Note('bob'), 'body')).toBe(false);
    expect(ability.can('update', new Note('alice'), 'title')).toBe(false);
  });

  it('a scope opens its own subject and no other', () => {
    class Other {}
    const viewer = (_: Principal, { can }: Rules) => void can('read', [Note, Other]);
    const ability = new AbilityFactory({ ...policy, roles: { ...policy.roles, viewer } }).for(
      bob(['viewer'], ['documents:read']),
    );
    expect([ability.can('read', Note), ability.can('read', Other)]).toEqual([true, false]);
  });

  it('a prohibition holds under every scope', () => {
    expect(abilityOf(['admin'], ['documents:delete']).can('delete', new Note('bob', true))).toBe(false);
  });

  it('no scopes at all is no ceiling; an empty list or an unknown scope is nothing', () => {
    expect(abilityOf(['admin']).can('delete', Note)).toBe(true);
    expect(abilityOf(['admin'], []).can('read', Note)).toBe(false);
    expect(abilityOf(['admin'], ['documents:*', 'toString']).can('read', Note)).toBe(false);
  });
});

describe('authorization details are a ceiling, on single rows', () => {
  const note = (id: string, ownerId = 'bob') => new Note(ownerId, false, '', '', id);
  const detailed = (details: readonly AuthorizationDetail[], scopes?: readonly string[]) =>
    factory.for({ ...bob(['editor'], scopes), authorizationDetails: details });
  const detail = (identifier: string, ...actions: AuthorizationDetail['actions']): AuthorizationDetail => ({
    type: 'document',
    identifier,
    actions,
  });

  it('a role keeps only the rows that they name, each with its own actions', () => {
    const ability = detailed([detail('a', 'read'), detail('b', 'read', 'update')]);
    expect(ability.can('read', note('a'))).toBe(true);
    expect(ability.can('update', note('a'), 'title')).toBe(false);
    expect(ability.can('update', note('b'), 'title')).toBe(true);
    expect(ability.can('read', note('c'))).toBe(false);
  });

  it('they give nothing that the role has not', () => {
    const ability = detailed([detail('a', 'read', 'update', 'delete')]);
    expect(ability.can('read', note('a', 'alice'))).toBe(false);
    expect(ability.can('update', note('a'), 'body')).toBe(false);
    expect(ability.can('delete', note('a'))).toBe(false);
  });

  it('the scopes hold as well', () => {
    const ability = detailed([detail('a', 'read', 'update')], ['documents:delete']);
    expect(ability.can('read', note('a'))).toBe(false);
  });

  it('an empty list is nothing, and what they are not about is left to the scopes', () => {
    class Other {}
    const viewer = (_: Principal, { can }: Rules) => void can('read', [Note, Other]);
    const ability = new AbilityFactory({ ...policy, roles: { ...policy.roles, viewer } }).for({
      ...bob(['viewer']),
      authorizationDetails: [],
    });
    expect([ability.can('read', Note), ability.can('read', Other)]).toEqual([false, true]);
  });
});

describe('what would be enough', () => {
  const needOf = (ability: AppAbility, action: Action, subject: Subject) => {
    try {
      assertCan(ability, action, subject);
      return 'nothing';
    } catch (error) {
      return error instanceof InsufficientCredential ? error.need : undefined;
    }
  };

  it('scopes, where the roles would do and the scopes do not', () => {
    expect(needOf(abilityOf(['admin'], ['documents:read']), 'delete', new Note('bob'))).toEqual({
      scopes: ['documents:delete'],
    });
    expect(needOf(abilityOf(['admin'], []), 'read', Note)).toEqual({
      scopes: ['documents:read', 'documents:write'],
    });
  });

  it('another sign-in, where the rule is one that yields to it', () => {
    const need = { acr: 'mfa', maxAge: 300 };
    expect(needOf(abilityOf(['admin']), 'delete', new Note('bob', true))).toEqual(need);
    expect(needOf(abilityOf(['admin'], ['documents:delete']), 'delete', new Note('bob', true))).toEqual(need);
  });

  it('the scopes first, where both are missing', () => {
    expect(needOf(abilityOf(['admin'], ['documents:read']), 'delete', new Note('bob', true))).toEqual({
      scopes: ['documents:delete'],
    });
  });

  it('nothing, where the roles would not do either, whatever else is missing', () => {
    expect(needOf(abilityOf(['viewer'], ['documents:read']), 'delete', new Note('bob'))).toBeUndefined();
    expect(needOf(abilityOf(['viewer']), 'delete', new Note('bob', true))).toBeUndefined();
    expect(needOf(abilityOf(['admin']), 'delete', new Note('bob'))).toBe('nothing');
  });

  it('nothing, where a prohibition stays that yields to no sign-in', () => {
    const strict = new AbilityFactory({ ...policy, stepUps: {} }).for(bob(['admin'], ['documents:delete']));
    expect(needOf(strict, 'delete', new Note('bob', true))).toBeUndefined();
  });
});

describe('attacks', () => {
  it('AUTHZ-04: a check of the type alone passes where the row would not, so handlers ask about the row', () => {
    const ability = abilityOf(['editor']);
    expect(ability.can('read', Note)).toBe(true);
    expect(() => assertCan(ability, 'read', new Note('alice'))).toThrow();
  });

  it('AUTHZ-05: a check without a field passes where one field is allowed, so writes ask about each', () => {
    const ability = abilityOf(['editor']);
    expect(ability.can('update', new Note('bob'))).toBe(true);
    expect(() => assertFieldsWritable(ability, 'update', new Note('bob'), { body: '' })).toThrow();
  });

  it('AUTHZ-07: the order of rules in the policy cannot undo a prohibition', () => {
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

  it('AUTHZ-08: what a body says of its type is not believed', () => {
    const ability = abilityOf(['admin']);
    const body = JSON.parse('{"__caslSubjectType__":"Note","constructor":"Note","ownerId":"bob"}') as object;
    expect(ability.can('read', body)).toBe(false);
    expect(ability.can('read', Object.assign(Object.create(null) as object, body))).toBe(false);
    const sealed = Object.assign(new Note('bob', true), { __caslSubjectType__: 'Other' });
    expect(ability.can('delete', sealed)).toBe(false);
    expect(ability.can('delete', new Proxy(sealed, {}))).toBe(false);
    expect(ability.can('read', sealed)).toBe(true);
  });

  it('AUTHZ-18: scope and role both hold', () => {
    expect(abilityOf(['viewer'], ['documents:delete']).can('delete', new Note('bob'))).toBe(false);
    expect(abilityOf(['admin'], ['documents:read']).can('delete', new Note('bob'))).toBe(false);
  });
});
