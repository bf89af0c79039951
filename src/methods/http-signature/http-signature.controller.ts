import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post, Query } from '@nestjs/common';
import type { JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { Describe, MANAGE_ERRORS, PrincipalView, listOf, text } from '../../authentication/describe.js';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { JwkSet, SigningKeys } from '../../crypto/signing-keys.service.js';
import {
  ACCOUNT_QUERY,
  CREDENTIAL_VIEW,
  ISSUE_ERRORS,
  NEW_CREDENTIAL_FIELDS,
} from '../../users/credential.js';
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
    kid: text(255).optional(),
    alg: text(32).optional(),
    use: z.literal('sig').optional(),
    key_ops: z.array(z.literal('verify')).max(1).optional(),
    ext: z.boolean().optional(),
  })
  .refine(
    (jwk) => importPublicJwk(jwk as JsonWebKey) !== undefined,
    'must be a public key: Ed25519, P-256, P-384, or RSA of 2048 to 4096 bits',
  )
  .meta({ description: 'Ed25519, P-256, P-384, or RSA of 2048 to 4096 bits. The server checks more.' });

const NewKeyBody = z.strictObject({ ...NEW_CREDENTIAL_FIELDS, jwk: PublicJwk }).meta({
  id: 'SignatureKeyRequest',
  example: {
    name: 'laptop',
    jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  },
});
const KeyProofBody = z
  .strictObject({ signature: z.base64().min(1).max(700) })
  .meta({ id: 'KeyProof', example: { signature: 'c2lnbmF0dXJl' } });

const SignatureKeyView = z
  .object({
    ...CREDENTIAL_VIEW,
    algorithm: z.string(),
    jwk: z.record(z.string(), z.string()),
    provedAt: z.date().nullable(),
  })
  .meta({ id: 'SignatureKey' });
const NewSignatureKeyView = SignatureKeyView.extend({ challenge: z.string(), challengeUntil: z.date() }).meta(
  {
    id: 'CreatedSignatureKey',
  },
);

const keyView = (key: SignatureKey) => SignatureKeyView.parse({ ...key, jwk: key.publicJwk });

@Controller()
@SelfService()
export class HttpSignatureController {
  constructor(private readonly keys: HttpSignatureService) {}

  @Get('demo/http-signature')
  @Describe('Show the caller, by http-signature', { response: PrincipalView })
  @Authenticate('http-signature')
  showHttpSignatureCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('signature-keys')
  @Describe('Register a public key', { response: NewSignatureKeyView, errors: ISSUE_ERRORS })
  async createSignatureKey(
    @Caller() caller: Principal,
    @Body({ schema: NewKeyBody }) body: z.output<typeof NewKeyBody>,
  ) {
    const row = await this.keys.register(caller, { ...body, jwk: body.jwk });
    return { ...keyView(row), challenge: row.challenge, challengeUntil: row.challengeUntil };
  }

  @Post('signature-keys/:id/proof')
  @Describe('Prove possession of a key', {
    response: SignatureKeyView,
    errors: [...MANAGE_ERRORS, '403 invalid_key_proof', '409 key_proof_expired'],
  })
  @HttpCode(200)
  async proveSignatureKey(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: KeyProofBody }) { signature }: z.output<typeof KeyProofBody>,
  ) {
    return keyView(await this.keys.prove(caller, id, Buffer.from(signature, 'base64')));
  }

  @Get('signature-keys')
  @Describe('List public keys', { response: listOf(SignatureKeyView), errors: MANAGE_ERRORS })
  async listSignatureKeys(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.keys.list(caller, accountId)).map(keyView) };
  }

  @Delete('signature-keys/:id')
  @Describe('Revoke a public key', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeSignatureKey(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}

@Controller()
@Public()
export class HttpSignatureDirectoryController {
  constructor(private readonly keys: SigningKeys) {}

  /** The public keys of signed responses (JWK Set, RFC 7517 section 5). `kid` equals the `keyid` of the signature. */
  @Get('.well-known/http-message-signatures-directory')
  @Describe('List the public keys of signed responses', { response: JwkSet })
  @Header('Cache-Control', 'public, max-age=300')
  async listResponseSigningKeys() {
    return { keys: await this.keys.jwks() };
  }
}
