import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Describe, MANAGE_ERRORS, PrincipalView, listOf, text } from '../../authentication/describe.js';
import { Authenticate, Caller, Public, SelfService } from '../../authentication/plan.js';
import type { Principal } from '../../authentication/principal.js';
import {
  ACCOUNT_QUERY,
  CREDENTIAL_VIEW,
  ISSUE_ERRORS,
  NEW_CREDENTIAL_FIELDS,
} from '../../users/credential.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import { MtlsServerService } from './mtls.server.service.js';
import { CERTIFICATE_LIFETIME_MS, MtlsService } from './mtls.service.js';

const PEM = 'application/x-pem-file; charset=utf-8';

const NewCertificate = z
  .strictObject({
    ...NEW_CREDENTIAL_FIELDS,
    expiresAt: NEW_CREDENTIAL_FIELDS.expiresAt.refine(
      (date) => !date || date.getTime() <= Date.now() + CERTIFICATE_LIFETIME_MS,
      'must lie within 90 days',
    ),
    csr: text(8_192).meta({ description: 'A PKCS #10 request in PEM. The server checks more.' }),
  })
  .meta({
    id: 'CertificateRequest',
    example: { name: 'laptop', csr: '-----BEGIN CERTIFICATE REQUEST-----…' },
  });

const CertificateView = z.object(CREDENTIAL_VIEW).meta({ id: 'Certificate' });
const NewCertificateView = CertificateView.extend({ certificate: z.string() }).meta({
  id: 'CreatedCertificate',
});
/** The URL is empty before the listener has started. */
const MtlsEndpoints = z
  .object({ url: z.string(), ca: z.string(), crl: z.string() })
  .meta({ id: 'MtlsEndpoints' });

@Controller()
@SelfService()
export class MtlsController {
  constructor(private readonly certificates: MtlsService) {}

  @Get('demo/mtls')
  @Describe('Show the caller, by mtls', { response: PrincipalView })
  @Authenticate('mtls')
  showMtlsCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Post('certificates')
  @Describe('Issue a client certificate', {
    response: NewCertificateView,
    errors: [...ISSUE_ERRORS, '422 invalid_csr'],
  })
  async createCertificate(
    @Caller() caller: Principal,
    @Body({ schema: NewCertificate }) { csr, name, ...limits }: z.output<typeof NewCertificate>,
  ) {
    const { row, certificate } = await this.certificates.issue(caller, csr, name, limits);
    return { ...CertificateView.parse(row), certificate };
  }

  @Get('certificates')
  @Describe('List client certificates', { response: listOf(CertificateView), errors: MANAGE_ERRORS })
  async listCertificates(
    @Caller() caller: Principal,
    @Query({ schema: ACCOUNT_QUERY }) { accountId }: z.output<typeof ACCOUNT_QUERY>,
  ) {
    return {
      items: (await this.certificates.list(caller, accountId)).map((row) => CertificateView.parse(row)),
    };
  }

  @Delete('certificates/:id')
  @Describe('Revoke a client certificate', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  revokeCertificate(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
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
  @Describe('Show where to connect with a client certificate', { response: MtlsEndpoints })
  showMtlsEndpoints() {
    return { url: this.server.url, ca: '/mtls/ca.pem', crl: '/mtls/crl.pem' };
  }

  @Get('mtls/ca.pem')
  @Describe('Download the certificate authority', { response: z.string() })
  @Header('Content-Type', PEM)
  downloadCertificateAuthority(): string {
    return this.authority.certificate.toString();
  }

  @Get('mtls/crl.pem')
  @Describe('Download the list of revoked certificates', { response: z.string() })
  @Header('Content-Type', PEM)
  downloadRevocationList(): string {
    return this.authority.crl;
  }
}
