import { Module } from '@nestjs/common';
import { RecoveryCodeController } from './recovery-code.controller.js';
import { RecoveryCodePageController } from './recovery-code.page.controller.js';
import { RecoveryCodeService } from './recovery-code.service.js';

@Module({
  controllers: [RecoveryCodeController, RecoveryCodePageController],
  providers: [RecoveryCodeService],
})
export class RecoveryCodeModule {}
