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
import { z } from 'zod';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import { Authenticator } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import type { Principal } from '../../authentication/principal.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import type { TokenResponse } from './jwt.js';
import { JwtService, isCurrentFamily } from './jwt.service.js';
import { SCOPES, isScope } from '../../permissions.js';

const RefreshBody = z.strictObject({
  refresh_token: z.string().max(4096),
  scope: z.string().max(200).optional(),
});

@Controller()
@SelfService()
export class JwtController {
  constructor(private readonly tokens: JwtService) {}

  @Get('demo/jwt')
  @Authenticate('jwt')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** The caller's sign-ins that still have tokens. */
  @Get('token-families')
  async list(@Caller() caller: Principal) {
    const families = await this.tokens.list(caller);
    return {
      items: families.map(({ id, scopes, amr, authAt, userAgent, createdAt, expiresAt }) => ({
        id,
        scopes,
        amr,
        authAt,
        userAgent,
        createdAt,
        expiresAt,
        current: isCurrentFamily(caller, id),
      })),
    };
  }

  @Delete('token-families/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.tokens.revokeOwn(caller, id);
  }
}

/** The routes without an access token: refresh and the public keys. */
@Controller()
@Public()
export class JwtPublicController {
  constructor(
    private readonly tokens: JwtService,
    private readonly keys: SigningKeys,
    private readonly authenticator: Authenticator,
  ) {}

  @Post('auth/refresh')
  @HttpCode(200)
  async refresh(@Body({ schema: RefreshBody }) body: z.output<typeof RefreshBody>): Promise<TokenResponse> {
    const arrived = new Date();
    if (body.scope !== undefined && !body.scope.split(' ').every(isScope))
      throw new BadRequestException({ code: 'invalid_scope', detail: `Scopes are ${SCOPES.join(', ')}.` });
    try {
      return await this.tokens.refresh(body.refresh_token, body.scope, arrived);
    } catch (error) {
      throw error instanceof BadCredential ? this.authenticator.unauthenticated('jwt', error) : error;
    }
  }

  /** The public keys (RFC 7517). A new key is published before its first use for longer than `max-age`. */
  @Get('.well-known/jwks.json')
  @Header('Cache-Control', 'public, max-age=300')
  async jwks() {
    return { keys: await this.keys.jwks() };
  }
}
