import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import { ACCOUNT_QUERY, NEW_CREDENTIAL_FIELDS } from '../../users/credential.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import type { ClientCertificate } from './mtls.entity.js';
import { MtlsServerService } from './mtls.server.service.js';
import { CERTIFICATE_LIFETIME_MS, MtlsService } from './mtls.service.js';

const PEM = 'application/x-pem-file; charset=utf-8';

const NewCertificate = z.strictObject({
  ...NEW_CREDENTIAL_FIELDS,
  expiresAt: NEW_CREDENTIAL_FIELDS.expiresAt.refine(
    (date) => !date || date.getTime() <= Date.now() + CERTIFICATE_LIFETIME_MS,
    'must lie within 90 days',
  ),
  csr: z.string().max(8_192),
});

const certificateView = ({ id, name, scopes, createdAt, expiresAt, lastUsedAt }: ClientCertificate) => ({
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
  constructor(private readonly certificates: MtlsService) {}

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
    return { ...certificateView(row), certificate };
  }

  @Get('certificates')
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return { items: (await this.certificates.list(caller, accountId)).map(certificateView) };
  }

  @Delete('certificates/:id')
  @HttpCode(204)
  revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.certificates.revoke(caller, id);
  }
}

/** Public: a client needs these before it can connect. */
@Controller()
@Public()
export class MtlsPublicController {
  constructor(
    private readonly server: MtlsServerService,
    private readonly authority: CertificateAuthorityService,
  ) {}

  @Get('mtls')
  endpoints() {
    return { url: this.server.url, ca: '/mtls/ca.pem', crl: '/mtls/crl.pem' };
  }

  @Get('mtls/ca.pem')
  @Header('Content-Type', PEM)
  ca(): string {
    return this.authority.certificate.toString();
  }

  @Get('mtls/crl.pem')
  @Header('Content-Type', PEM)
  crl(): string {
    return this.authority.crl;
  }
}
