import { Injectable, type OnModuleInit } from '@nestjs/common';
import { AccountRemoval } from '../users/account-removal.service.js';
import { Document } from './document.entity.js';

/** Documents belong to the tenant: an administrator becomes the owner of those of a deleted account. */
@Injectable()
export class DocumentOwners implements OnModuleInit {
  constructor(private readonly removal: AccountRemoval) {}

  onModuleInit(): void {
    this.removal.beforeRemoval(async (manager, user, successor) => {
      const changes = { ownerId: successor.id, version: () => 'version + 1' };
      await manager.update(Document, { ownerId: user.id }, changes);
    });
  }
}
