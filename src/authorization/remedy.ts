import type { Requirement } from '../authentication/challenge.js';
import type { AppAbility } from './rules.js';

type Asked = Parameters<AppAbility['can']>;

const remedies = new WeakMap<AppAbility, (...asked: Asked) => Requirement | undefined>();

export const setRemedy = (ability: AppAbility, find: (...asked: Asked) => Requirement | undefined): void =>
  void remedies.set(ability, find);

/**
 * What would be enough for what an ability forbids: a sign-in of another kind, or scopes. Where both are missing it is the
 * scopes, and the sign-in is asked for next.
 * @returns undefined where nothing would help
 */
export const remedyFor = (ability: AppAbility, ...asked: Asked): Requirement | undefined =>
  remedies.get(ability)?.(...asked);
