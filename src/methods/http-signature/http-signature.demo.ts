import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DemoPort } from '../../authentication/ports.js';
import { SignatureKey } from './http-signature.entity.js';

/** The demo key of the account acme-machine. Its private key is printed in docs/methods/http-signature.md. */
export const DEMO_KEY_ID = 'demo-key-of-acme-machine';
export const DEMO_PUBLIC_JWK = {
  kty: 'OKP',
  crv: 'Ed25519',
  x: 'v8CyWqEXtI2f2eo2tBSJ3Amk6Ej72pg6_6Ud4V9KyvM',
};

@Injectable()
export class HttpSignatureDemo implements OnApplicationBootstrap {
  constructor(private readonly demo: DemoPort) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.demo.once('signature-keys', async (manager: EntityManager) => {
      const now = new Date();
      await manager.insert(SignatureKey, {
        id: DEMO_KEY_ID,
        userId: 'acme-machine',
        name: 'nightly report',
        algorithm: 'ed25519',
        publicJwk: DEMO_PUBLIC_JWK,
        challenge: '',
        challengeUntil: now,
        provedAt: now,
        scopes: ['documents:read', 'documents:write'],
        createdAt: now,
        expiresAt: null,
        lastUsedAt: null,
        revokedAt: null,
      });
    });
  }
}
