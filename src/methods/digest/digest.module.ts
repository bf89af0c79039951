import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { PasswordsModule } from '../../passwords/passwords.module.js';
import { DigestController } from './digest.controller.js';
import { DigestCredentials } from './digest.credentials.service.js';
import { DigestDemo } from './digest.demo.js';
import { DigestNonceCounts } from './digest.nonce-counts.service.js';
import { DigestService } from './digest.service.js';
import { DigestStrategy } from './digest.strategy.js';
import { digestConfig } from './digest.config.js';

@Module({
  imports: [ConfigModule.forFeature(digestConfig), PasswordsModule],
  controllers: [DigestController],
  providers: [
    secretBoxFor('digest'),
    DigestCredentials,
    DigestNonceCounts,
    DigestService,
    DigestStrategy,
    DigestDemo,
  ],
})
export class DigestModule {}
