import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { HttpSignatureController, HttpSignatureDirectoryController } from './http-signature.controller.js';
import { HttpSignatureDemo } from './http-signature.demo.js';
import { SignatureKey } from './http-signature.entity.js';
import { ResponseSigningGuard } from './http-signature.response.guard.js';
import { HttpSignatureStrategy } from './http-signature.strategy.js';
import { HttpSignatureService } from './http-signature.service.js';

@Module({
  imports: [CryptoModule, TypeOrmModule.forFeature([SignatureKey])],
  controllers: [HttpSignatureController, HttpSignatureDirectoryController],
  providers: [
    HttpSignatureStrategy,
    HttpSignatureService,
    HttpSignatureDemo,
    { provide: APP_GUARD, useClass: ResponseSigningGuard },
  ],
})
export class HttpSignatureModule {}
