import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { ReplayStoreModule } from '../../crypto/replay-store.module.js';
import { PasskeyAssertions } from './passkey.assertions.service.js';
import { PasskeyChallenges } from './passkey.challenges.service.js';
import { passkeyConfig } from './passkey.config.js';
import { PasskeyController } from './passkey.controller.js';
import { PasskeyFactor } from './passkey.factor.js';
import { PasskeyPageController } from './passkey.page.controller.js';
import { PasskeyRegistrationController } from './passkey.registration.controller.js';
import { PasskeyRegistrations } from './passkey.registration.service.js';
import { PasskeyService } from './passkey.service.js';

@Module({
  imports: [ConfigModule.forFeature(passkeyConfig), ReplayStoreModule],
  controllers: [PasskeyController, PasskeyPageController, PasskeyRegistrationController],
  providers: [PasskeyAssertions, PasskeyChallenges, PasskeyFactor, PasskeyRegistrations, PasskeyService],
})
export class PasskeyModule {}
