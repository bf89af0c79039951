import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { APP_GUARD } from '@nestjs/core';
import { ClientCertificateModule } from '../../authentication/client-certificate.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import { MtlsCleanup } from './mtls.cleanup.js';
import { MtlsController, MtlsPublicController } from './mtls.controller.js';
import { MtlsHostGuard } from './mtls.host.guard.js';
import { ServerCertificateService } from './mtls.server-certificate.service.js';
import { MtlsServerService } from './mtls.server.service.js';
import { MtlsService } from './mtls.service.js';
import { MtlsStrategy } from './mtls.strategy.js';
import { mtlsConfig } from './mtls.config.js';

@Module({
  imports: [ConfigModule.forFeature(mtlsConfig), ClientCertificateModule],
  controllers: [MtlsController, MtlsPublicController],
  providers: [
    CertificateAuthorityService,
    ServerCertificateService,
    MtlsServerService,
    MtlsService,
    MtlsStrategy,
    MtlsCleanup,
    // Global: a misdirected request must be rejected on every route, for every method.
    { provide: APP_GUARD, useClass: MtlsHostGuard },
  ],
})
export class MtlsModule {}
