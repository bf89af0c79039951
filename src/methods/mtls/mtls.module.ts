import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Certificates } from './mtls.service.js';
import { Authority } from './mtls.certificate-authority.service.js';
import { MtlsController, MtlsPublicController } from './mtls.controller.js';
import { MtlsHostGuard } from './mtls.host.guard.js';
import { MtlsListener } from './mtls.server.service.js';
import { Revocations } from './mtls.revocations.js';
import { ServerCertificate } from './mtls.server-certificate.service.js';
import { MtlsStrategy } from './mtls.strategy.js';
import { MtlsSweep } from './mtls.cleanup.js';

@Module({
  controllers: [MtlsController, MtlsPublicController],
  providers: [
    Authority,
    Revocations,
    ServerCertificate,
    MtlsListener,
    Certificates,
    MtlsStrategy,
    MtlsSweep,
    // On every route of the application: which method is used makes no difference to whom the client has connected.
    { provide: APP_GUARD, useClass: MtlsHostGuard },
  ],
})
export class MtlsModule {}
