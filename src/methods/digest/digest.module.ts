import { Module } from '@nestjs/common';
import { PasswordsModule } from '../../passwords/passwords.module.js';
import { DigestAccounts } from './digest.accounts.js';
import { DigestController } from './digest.controller.js';
import { DigestNonceCounts } from './digest.counts.js';
import { DigestDemo } from './digest.demo.js';
import { DigestService } from './digest.service.js';
import { DigestGuesses } from './digest.guesses.js';
import { DigestSecrets } from './digest.secrets.js';
import { DigestStrategy } from './digest.strategy.js';

@Module({
  imports: [PasswordsModule],
  controllers: [DigestController],
  providers: [
    DigestStrategy,
    DigestSecrets,
    DigestAccounts,
    DigestNonceCounts,
    DigestGuesses,
    DigestService,
    DigestDemo,
  ],
})
export class DigestModule {}
