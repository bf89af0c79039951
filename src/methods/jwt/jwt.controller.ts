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
import { Describe, MANAGE_ERRORS, PrincipalView, listOf, text } from '../../authentication/describe.js';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import { Authenticator } from '../../authentication/authenticator.js';
import { BadCredential } from '../../authentication/challenge.js';
import type { Principal } from '../../authentication/principal.js';
import { JwkSet, SigningKeys } from '../../crypto/signing-keys.service.js';
import { TokenResponse } from './jwt.js';
import { isCurrentFamily } from './jwt.entity.js';
import { JwtService } from './jwt.service.js';
import { SCOPES, isScope } from '../../permissions.js';

const RefreshBody = z
  .strictObject({
    refresh_token: text(4096),
    scope: text(200).optional(),
  })
  .meta({ id: 'Refresh', example: { refresh_token: 'a refresh token' } });

const TokenFamilyView = z
  .object({
    id: z.string(),
    scopes: z.array(z.string()).nullable(),
    amr: z.array(z.string()),
    authAt: z.date(),
    userAgent: z.string(),
    createdAt: z.date(),
    expiresAt: z.date(),
    current: z.boolean(),
  })
  .meta({ id: 'TokenFamily' });

@Controller()
@SelfService()
export class JwtController {
  constructor(private readonly tokens: JwtService) {}

  @Get('demo/jwt')
  @Describe('Show the caller, by jwt', { response: PrincipalView })
  @Authenticate('jwt')
  showJwtCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  /** The caller's sign-ins that still have tokens. */
  @Get('token-families')
  @Describe('List sign-ins with tokens', { response: listOf(TokenFamilyView), errors: MANAGE_ERRORS })
  async listTokenFamilies(@Caller() caller: Principal) {
    const families = await this.tokens.list(caller);
    return {
      items: families.map((family) =>
        TokenFamilyView.parse({ ...family, current: isCurrentFamily(caller, family.id) }),
      ),
    };
  }

  @Delete('token-families/:id')
  @Describe('End a sign-in with its tokens', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeTokenFamily(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
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
  @Describe('Refresh tokens', {
    response: TokenResponse,
    errors: ['400 invalid_scope', '401 invalid_grant', '409 concurrent_refresh'],
  })
  @HttpCode(200)
  async refreshTokens(
    @Body({ schema: RefreshBody }) body: z.output<typeof RefreshBody>,
  ): Promise<TokenResponse> {
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
  @Describe('List the public keys of tokens', { response: JwkSet })
  @Header('Cache-Control', 'public, max-age=300')
  async listTokenSigningKeys() {
    return { keys: await this.keys.jwks() };
  }
}
