import { Module } from '@nestjs/common';
import { FailedAttempts } from './failed-attempts.service.js';
import { AddressLimitGuard, CredentialLimitGuard } from './rate-limits.guard.js';
import { RateLimitsService } from './rate-limits.service.js';

/** The application adds both guards as `APP_GUARD`: by address first, by credential after authentication. */
@Module({
  providers: [RateLimitsService, FailedAttempts, AddressLimitGuard, CredentialLimitGuard],
  exports: [FailedAttempts, AddressLimitGuard, CredentialLimitGuard],
})
export class RateLimitsModule {}
