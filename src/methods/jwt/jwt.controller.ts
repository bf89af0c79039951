import {
  BadRequestException,
  Body,
  Controller,
  Delete,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
} from '@nestjs/common';
import { DataSource, IsNull, MoreThan } from 'typeorm';
import { z } from 'zod';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import { Authenticator } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import { assertMayManageCredentials } from '../../authentication/manage-credentials.js';
import type { Principal } from '../../authentication/principal.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { TokenFamily } from './jwt.entity.js';
import { JwtIssuer, type TokenResponse } from './jwt.service.js';
import { SCOPES, isScope } from '../../permissions.js';

const Refresh = z.strictObject({
  refresh_token: z.string().max(4096),
  scope: z.string().max(200).optional(),
});

@Controller()
@SelfService()
export class JwtController {
  constructor(
    private readonly issuer: JwtIssuer,
    private readonly dataSource: DataSource,
  ) {}

  @Get('demo/jwt')
  @Authenticate('jwt')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** The caller's sign-ins that still have tokens. */
  @Get('token-families')
  async list(@Caller() caller: Principal) {
    assertMayManageCredentials(caller);
    const families = await this.dataSource.manager.findBy(TokenFamily, {
      userId: caller.id,
      revokedAt: IsNull(),
      expiresAt: MoreThan(new Date()),
    });
    return {
      items: families.map(({ id, scopes, amr, authAt, userAgent, createdAt, expiresAt }) => ({
        id,
        scopes,
        amr,
        authAt,
        userAgent,
        createdAt,
        expiresAt,
        current: caller.proofs.some((proof) => proof.credentialId === id),
      })),
    };
  }

  @Delete('token-families/:id')
  @HttpCode(204)
  end(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.issuer.endOwn(caller, id);
  }
}

/** What must be reachable without an access token: the next one, and the keys that verify it. */
@Controller()
@Public()
export class JwtPublicController {
  constructor(
    private readonly issuer: JwtIssuer,
    private readonly keys: SigningKeys,
    private readonly authenticator: Authenticator,
  ) {}

  @Post('auth/refresh')
  @HttpCode(200)
  async refresh(@Body({ schema: Refresh }) body: z.output<typeof Refresh>): Promise<TokenResponse> {
    const arrived = new Date();
    if (body.scope !== undefined && !body.scope.split(' ').every(isScope))
      throw new BadRequestException({ code: 'invalid_scope', detail: `Scopes are ${SCOPES.join(', ')}.` });
    try {
      return await this.issuer.refresh(body.refresh_token, body.scope, arrived);
    } catch (error) {
      throw error instanceof BadCredential ? this.authenticator.unauthenticated('jwt', error) : error;
    }
  }

  /** The public keys (RFC 7517). Whoever caches them for as long as it says never misses the next one. */
  @Get('.well-known/jwks.json')
  @Header('Cache-Control', 'public, max-age=300')
  async jwks() {
    return { keys: await this.keys.jwks() };
  }
}
