import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { NEW_CREDENTIAL_FIELDS } from '../../users/credential.js';
import { Certificates, LIFETIME } from './mtls.service.js';
import { Authority } from './mtls.certificate-authority.service.js';
import type { ClientCertificate } from './mtls.entity.js';
import { MtlsListener } from './mtls.server.service.js';
import { Revocations } from './mtls.revocations.js';

const PEM = 'application/x-pem-file';

const NewCertificate = z.strictObject({
  ...NEW_CREDENTIAL_FIELDS,
  expiresAt: NEW_CREDENTIAL_FIELDS.expiresAt.refine(
    (date) => !date || date.getTime() <= Date.now() + LIFETIME,
    'must lie within 90 days',
  ),
  csr: z.string().max(8_192),
});

const view = ({ id, name, scopes, createdAt, expiresAt, lastUsedAt }: ClientCertificate) => ({
  id,
  name,
  scopes,
  createdAt,
  expiresAt,
  lastUsedAt,
});

@Controller()
@SelfService()
export class MtlsController {
  constructor(private readonly certificates: Certificates) {}

  @Get('demo/mtls')
  @Authenticate('mtls')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('certificates')
  async issue(
    @Caller() caller: Principal,
    @Body({ schema: NewCertificate }) { csr, name, ...limits }: z.output<typeof NewCertificate>,
  ) {
    const { row, certificate } = await this.certificates.issue(caller, csr, name, limits);
    return { ...view(row), certificate };
  }

  @Get('certificates')
  async list(@Caller() caller: Principal) {
    return { items: (await this.certificates.list(caller)).map(view) };
  }

  @Delete('certificates/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.certificates.revoke(caller, id);
  }
}

/** What a caller must know before it can connect. */
@Controller()
@Public()
export class MtlsPublicController {
  constructor(
    private readonly listener: MtlsListener,
    private readonly authority: Authority,
    private readonly revocations: Revocations,
  ) {}

  @Get('mtls')
  where() {
    return { url: this.listener.url, ca: '/mtls/ca.pem', crl: '/mtls/crl.pem' };
  }

  @Get('mtls/ca.pem')
  @Header('Content-Type', PEM)
  ca(): string {
    return this.authority.certificate.toString();
  }

  @Get('mtls/crl.pem')
  @Header('Content-Type', PEM)
  crl(): string {
    return this.revocations.crl;
  }
}
