import { Global, Module } from '@nestjs/common';
import { NoticesService } from './notices.service.js';

/** The life of an account: registration, recovery, changes and deletion. Global, because every method sends notices. */
@Global()
@Module({
  providers: [NoticesService],
  exports: [NoticesService],
})
export class AccountsModule {}
