import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../../authentication/ports.js';
import { ApiKey } from './api-key.entity.js';
import { mintKey } from './api-key.js';

const ofBob = {
  id: 'DemoKeyOfBob0000',
  ...mintKey('DemoKeyOfBob0000', 'PublishedSoNeverUsedOutsideOfTheDemo0000001'),
};
const ofMachine = {
  id: 'DemoKeyOfMachine',
  ...mintKey('DemoKeyOfMachine', 'PublishedSoNeverUsedOutsideOfTheDemo0000002'),
};

/** Bob's key in the demo. It can read and write documents, but not delete them. */
export const DEMO_KEY = ofBob.key;

@Injectable()
export class ApiKeyDemo implements OnApplicationBootstrap {
  constructor(private readonly demo: DemoPort) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('api-keys', async (manager: EntityManager) => {
      const common = { createdAt: new Date() };
      await manager.insert(ApiKey, [
        {
          ...common,
          id: ofBob.id,
          secretHash: ofBob.secretHash,
          userId: 'bob',
          name: "bob's demo key",
          scopes: ['documents:read', 'documents:write'],
        },
        {
          ...common,
          id: ofMachine.id,
          secretHash: ofMachine.secretHash,
          userId: 'acme-machine',
          name: 'nightly report',
          scopes: ['documents:read'],
        },
      ]);
    });
  }
}
