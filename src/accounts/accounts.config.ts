import { ForbiddenException } from '@nestjs/common';
import { z } from 'zod';
import { InvalidSettings, type Settings } from '../config/settings.js';

const TENANT = /^[a-z0-9][a-z0-9-]{0,35}$/;
const DEMO_TENANT = 'acme';
const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;

const schema = z.object({
  REGISTRATION: z.enum(['closed', 'invitation', 'open'], 'must be closed, invitation or open').optional(),
  REGISTRATION_TENANT: z
    .string()
    .regex(TENANT, 'must be a tenant, of 1 to 36 lower-case letters, digits and hyphens')
    .optional(),
  ACCOUNT_DELETION_GRACE_DAYS: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'must be a number of days, as 14')
    .default('14'),
  ACCOUNT_RECOVERY_DELAY_HOURS: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'must be a number of hours, as 24')
    .default('24'),
});

/** The settings of accounts. Inject it by its class. */
export class AccountsConfig {
  private constructor(
    /** `open` includes invitations. */
    readonly registration: 'closed' | 'invitation' | 'open',
    /** The tenant of accounts that register without an invitation. */
    readonly registrationTenant: string,
    readonly deletionGraceMs: number,
    readonly recoveryDelayMs: number,
  ) {}

  /** @throws InvalidSettings */
  static from(settings: Settings): AccountsConfig {
    const env = settings.section(schema);
    const registration = env.REGISTRATION ?? (settings.demo ? 'open' : 'closed');
    const tenant = env.REGISTRATION_TENANT ?? (settings.demo ? DEMO_TENANT : '');
    if (registration === 'open' && !tenant)
      throw new InvalidSettings(['REGISTRATION_TENANT is required if REGISTRATION is open.']);
    return new AccountsConfig(
      registration,
      tenant,
      Number(env.ACCOUNT_DELETION_GRACE_DAYS) * DAY_MS,
      Number(env.ACCOUNT_RECOVERY_DELAY_HOURS) * HOUR_MS,
    );
  }
}

export const registrationClosed = () =>
  new ForbiddenException({
    code: 'registration_closed',
    detail: 'This server does not accept registrations. Ask an administrator for an account.',
  });
