import { Module } from '@nestjs/common';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { TotpController } from './totp.controller.js';
import { TotpService } from './totp.service.js';

@Module({ controllers: [TotpController], providers: [TotpService, secretBoxFor('totp')] })
export class TotpModule {}
