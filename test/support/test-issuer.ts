import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomUUID } from 'node:crypto';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../src/authentication/challenge.js';
import type { AuthMethod, AuthStrategy, Issuer } from '../../src/authentication/method.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Principal, Proof } from '../../src/authentication/principal.js';
import { User } from '../../src/users/user.entity.js';
import { principalOf } from '../../src/users/credential.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    slip: true;
  }
}

interface Slip {
  readonly userId: string;
  readonly epoch: number;
  readonly principal: Principal;
}

/**
 * The smallest issuer there can be, so that a ceremony can be tested whatever is installed: `Authorization: Slip <id>`,
 * kept in memory.
 */
@Injectable()
export class SlipIssuer implements Issuer {
  readonly slips = new Map<string, Slip>();
  /** Runs before a slip is made: a test can let something else happen first. */
  before: () => Promise<void> = async () => {};

  async issue(principal: Principal, request: AuthRequest, epoch: number) {
    await this.before();
    const slip = randomUUID();
    this.slips.set(slip, { userId: principal.id, epoch, principal });
    request.setHeader('X-Slip', slip);
    return { slip };
  }

  async end({ credentialId = '' }: Proof): Promise<void> {
    this.slips.delete(credentialId);
  }
}

@Injectable()
class SlipStrategy extends PassportStrategy(Strategy, 'slip') implements AuthStrategy {
  readonly challenge = new Challenge('Slip', { realm: 'test' });
  claims = (request: AuthRequest) => request.header('Authorization')?.startsWith('Slip ') ?? false;

  constructor(
    private readonly issuer: SlipIssuer,
    private readonly dataSource: DataSource,
  ) {
    super();
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const id = request.header('Authorization')!.slice('Slip '.length);
    const slip = this.issuer.slips.get(id);
    if (!slip) throw new BadCredential('invalid_slip', 'no such slip');
    const user = await this.dataSource.manager.findOneByOrFail(User, { id: slip.userId });
    if (user.epoch !== slip.epoch) throw new BadCredential('invalid_slip', 'all sign-ins were ended');
    const { at, amr } = slip.principal.proofs[0];
    const proof = { method: 'slip', credentialId: id, at, amr, bound: false } as const;
    return principalOf(
      user,
      proof,
      (reason) => new BadCredential('invalid_slip', reason),
      slip.principal.scopes,
    );
  }
}

@Module({ providers: [SlipStrategy, SlipIssuer] })
class SlipModule {}

export const slip: AuthMethod = {
  name: 'slip',
  module: SlipModule,
  strategy: SlipStrategy,
  issuer: SlipIssuer,
};

export const withSlip = (id: string) => ({ Authorization: `Slip ${id}` });
