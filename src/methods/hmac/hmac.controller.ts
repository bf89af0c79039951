import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Authenticate, Caller, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { NEW_CREDENTIAL_FIELDS, ROTATION_SCHEMA } from '../../users/credential.js';
import { HmacKey } from './hmac.entity.js';
import { newKeyId, newSecret } from './hmac.js';

const NewKey = z.strictObject(NEW_CREDENTIAL_FIELDS);

/** What may be told of a key: all but its secret. */
const view = ({ id, name, scopes, createdAt, expiresAt, lastUsedAt, previousUntil }: HmacKey) => ({
  id,
  name,
  scopes,
  createdAt,
  expiresAt,
  lastUsedAt,
  previousUntil,
});

@Controller()
@SelfService()
export class HmacController {
  private readonly keys: CredentialsService<HmacKey>;

  constructor(
    dataSource: DataSource,
    audit: AuditPort,
    private readonly box: SecretBox,
  ) {
    this.keys = new CredentialsService(dataSource, audit, HmacKey, 'hmac-key');
  }

  @Get('demo/hmac')
  @Authenticate('hmac')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('hmac-keys')
  async issue(
    @Caller() caller: Principal,
    @Body({ schema: NewKey }) { name, scopes, expiresAt }: z.output<typeof NewKey>,
  ) {
    const [id, secret] = [newKeyId(), newSecret()];
    const row = Object.assign(new HmacKey(), {
      id,
      userId: caller.id,
      name,
      sealed: this.box.seal(secret, id),
      previousSealed: null,
      previousUntil: null,
      scopes: this.keys.scopesFor(caller, scopes),
      createdAt: new Date(),
      expiresAt: expiresAt ?? null,
      lastUsedAt: null,
      revokedAt: null,
    });
    return { ...view(await this.keys.add(caller, row)), secret };
  }

  @Get('hmac-keys')
  async list(@Caller() caller: Principal) {
    return { items: (await this.keys.list(caller)).map(view) };
  }

  /** A new secret for the same key. The old one stays good for a while; one that was older still ends now. */
  @Post('hmac-keys/:id/rotate')
  async rotate(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: ROTATION_SCHEMA }) { overlapSeconds }: z.output<typeof ROTATION_SCHEMA>,
  ) {
    const { sealed, ...key } = await this.keys.find(caller, id);
    const secret = newSecret();
    const row = await this.keys.rotate(
      caller,
      { ...key, sealed },
      { sealed },
      {
        sealed: this.box.seal(secret, id),
        previousSealed: sealed,
        previousUntil: new Date(Date.now() + overlapSeconds * 1000),
      },
    );
    return { ...view(row), secret };
  }

  @Delete('hmac-keys/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
