import { Injectable } from '@nestjs/common';
import type { AccountAdministration } from '../authentication/ports.js';
import type { Principal } from '../authentication/principal.js';
import { AbilityFactory } from '../authorization/ability.factory.js';
import type { User } from './user.entity.js';

/** A caller manages the credentials of the machine accounts that the policy lets it update, and never those of a person. */
@Injectable()
export class PolicyAdministration implements AccountAdministration {
  constructor(private readonly abilities: AbilityFactory) {}

  mayManage(caller: Principal, account: User): boolean {
    return account.kind === 'client' && this.abilities.for(caller).can('update', account);
  }
}
