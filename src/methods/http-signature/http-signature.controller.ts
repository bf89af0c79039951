import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post, Query } from '@nestjs/common';
import type { JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { ACCOUNT_QUERY, NEW_CREDENTIAL_FIELDS } from '../../users/credential.js';
import { importPublicJwk } from './http-signature.algorithms.js';
import type { SignatureKey } from './http-signature.entity.js';
import { HttpSignatureService } from './http-signature.service.js';

/** A number of a key, up to 4096 bits (RFC 7518 section 6). */
const number = z.base64url().max(700);

/** A public key. Strict, so that a private key is rejected. */
const PublicJwk = z
  .strictObject({
    kty: z.enum(['OKP', 'EC', 'RSA']),
    crv: z.enum(['Ed25519', 'P-256', 'P-384']).optional(),
    x: number.optional(),
    y: number.optional(),
    n: number.optional(),
    e: number.optional(),
    kid: z.string().max(255).optional(),
    alg: z.string().max(32).optional(),
    use: z.literal('sig').optional(),
    key_ops: z.array(z.literal('verify')).max(1).optional(),
    ext: z.boolean().optional(),
  })
  .refine(
    (jwk) => importPublicJwk(jwk as JsonWebKey) !== undefined,
    'must be a public key: Ed25519, P-256, P-384, or RSA of 2048 to 4096 bits',
  );

const NewKeyBody = z.strictObject({ ...NEW_CREDENTIAL_FIELDS, jwk: PublicJwk });
const KeyProofBody = z.strictObject({ signature: z.base64().min(1).max(700) });

const keyView = (key: SignatureKey) => ({
  id: key.id,
  name: key.name,
  algorithm: key.algorithm,
  jwk: key.publicJwk,
  scopes: key.scopes,
  createdAt: key.createdAt,
  provedAt: key.provedAt,
  expiresAt: key.expiresAt,
  lastUsedAt: key.lastUsedAt,
});

@Controller()
@SelfService()
export class HttpSignatureController {
  constructor(private readonly keys: HttpSignatureService) {}

  @Get('demo/http-signature')
  @Authenticate('http-signature')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('signature-keys')
  async register(
    @Caller() caller: Principal,
    @Body({ schema: NewKeyBody }) body: z.output<typeof NewKeyBody>,
  ) {
    const row = await this.keys.register(caller, { ...body, jwk: body.jwk });
    return { ...keyView(row), challenge: row.challenge, challengeUntil: row.challengeUntil };
  }

  @Post('signature-keys/:id/proof')
  @HttpCode(200)
  async prove(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: KeyProofBody }) { signature }: z.output<typeof KeyProofBody>,
  ) {
    return keyView(await this.keys.prove(caller, id, Buffer.from(signature, 'base64')));
  }

  @Get('signature-keys')
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map(keyView) };
  }

  @Delete('signature-keys/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}

@Controller()
@Public()
export class HttpSignatureDirectoryController {
  constructor(private readonly keys: SigningKeys) {}

  /** The public keys of signed responses (JWK Set, RFC 7517 section 5). `kid` equals the `keyid` of the signature. */
  @Get('.well-known/http-message-signatures-directory')
  @Header('Cache-Control', 'public, max-age=300')
  async directory() {
    return { keys: await this.keys.jwks() };
  }
}
