import { Module } from '@nestjs/common';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { TotpController } from './totp.controller.js';
import { TotpPageController } from './totp.page.controller.js';
import { TotpService } from './totp.service.js';

@Module({ controllers: [TotpController, TotpPageController], providers: [TotpService, secretBoxFor('totp')] })
export class TotpModule {}
