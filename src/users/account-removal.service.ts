import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { User } from './user.entity.js';

/** Moves or deletes rows of an account whose foreign key does not cascade. @param successor an administrator of its tenant */
export type BeforeRemoval = (manager: EntityManager, user: User, successor: User) => Promise<void>;

/** Deletes accounts. A folder of a higher layer registers the work on its own tables. */
@Injectable()
export class AccountRemoval {
  private readonly before: BeforeRemoval[] = [];

  beforeRemoval(listener: BeforeRemoval): void {
    this.before.push(listener);
  }

  /** Deletes the row, and by its foreign keys every credential and sign-in of the account. Audit events stay. */
  async remove(manager: EntityManager, user: User, successor: User): Promise<void> {
    for (const listener of this.before) await listener(manager, user, successor);
    await manager.delete(User, { id: user.id });
  }
}
