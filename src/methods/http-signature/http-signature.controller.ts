import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post } from '@nestjs/common';
import type { JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { NEW_CREDENTIAL_FIELDS } from '../../users/credential.js';
import { importPublicJwk } from './http-signature.algorithms.js';
import type { SignatureKey } from './http-signature.entity.js';
import { HttpSignatureService } from './http-signature.service.js';

const number = z.base64url().max(700);

/** The members of a public key. Strict, so that a private one is never taken in. */
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

const NewKey = z.strictObject({ ...NEW_CREDENTIAL_FIELDS, jwk: PublicJwk });
const Proof = z.strictObject({ signature: z.base64().min(1).max(700) });

/** What may be told of a key, which is all. */
const view = (key: SignatureKey) => ({
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
  async register(@Caller() caller: Principal, @Body({ schema: NewKey }) body: z.output<typeof NewKey>) {
    const row = await this.keys.register(caller, { ...body, jwk: body.jwk });
    return { ...view(row), challenge: row.challenge, challengeUntil: row.challengeUntil };
  }

  @Post('signature-keys/:id/proof')
  @HttpCode(200)
  async prove(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: Proof }) { signature }: z.output<typeof Proof>,
  ) {
    return view(await this.keys.prove(caller, id, Buffer.from(signature, 'base64')));
  }

  @Get('signature-keys')
  async list(@Caller() caller: Principal) {
    return { items: (await this.keys.list(caller)).map(view) };
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

  /** The keys that this server signs answers with (RFC 7517): `kid` is the `keyid` of the signature. */
  @Get('.well-known/http-message-signatures-directory')
  @Header('Cache-Control', 'public, max-age=300')
  async directory() {
    return { keys: await this.keys.jwks() };
  }
}
