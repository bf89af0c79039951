import { Module } from '@nestjs/common';
import { RecoveryCodeController } from './recovery-code.controller.js';
import { RecoveryCodeService } from './recovery-code.service.js';

@Module({ controllers: [RecoveryCodeController], providers: [RecoveryCodeService] })
export class RecoveryCodeModule {}
