import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { BadCredential } from '../authentication/challenge.js';
import type { AuthRequest } from '../authentication/request.js';
import { Settings } from '../config/settings.js';
import { ReplayStore } from '../crypto/replay-store.service.js';
import { SecretBox } from '../crypto/secret-box.js';
import { HostCookie } from './host-cookie.js';

export const MFA_TICKET_LIFETIME_SECONDS = 10 * 60;
const OWNER = 'mfa-ticket';

const Ticket = z.strictObject({
  /** Makes the ticket single-use. */
  id: z.string(),
  accountId: z.string(),
  /** The account's epoch when the first factor was verified. */
  epoch: z.int(),
  /** The method of the issuer. */
  as: z.string(),
  scopes: z.array(z.string()).optional(),
  /** The method and the `amr` of the first factor. */
  method: z.string(),
  credentialId: z.string().optional(),
  amr: z.array(z.string()),
  /** The path to which a page goes after the sign-in. */
  returnTo: z.string().optional(),
  /** Milliseconds since 1970. */
  expires: z.int(),
});
export type MfaTicket = z.output<typeof Ticket>;

/**
 * The tickets of sign-ins that wait for a second factor. A ticket is encrypted and stored by the client only. It opens nothing but
 * the second step of its own sign-in, so it is no credential.
 */
@Injectable()
export class MfaTickets {
  private readonly box: SecretBox;
  readonly cookie: HostCookie;

  constructor(
    settings: Settings,
    private readonly replays: ReplayStore,
  ) {
    this.box = new SecretBox(settings, 'mfa-tickets');
    this.cookie = new HostCookie(settings.publicUrl, 'second-step', MFA_TICKET_LIFETIME_SECONDS);
  }

  create(signIn: Omit<MfaTicket, 'id' | 'expires'>): string {
    const expires = Date.now() + MFA_TICKET_LIFETIME_SECONDS * 1000;
    return this.box.seal(JSON.stringify({ ...signIn, id: randomUUID(), expires }), OWNER);
  }

  /**
   * @param text of the body; absent: of the cookie
   * @throws BadCredential `invalid_mfa_token`
   */
  read(text: string | undefined, request: AuthRequest): MfaTicket {
    const ticket = this.open(text ?? this.cookie.readOne(request));
    if (!ticket || ticket.expires <= Date.now()) throw invalidMfaToken('absent, altered or expired');
    return ticket;
  }

  /** @throws BadCredential `invalid_mfa_token` if the ticket was used before */
  async use({ id, expires }: MfaTicket): Promise<void> {
    if (!(await this.replays.use('mfa ticket', id, new Date(expires)))) throw invalidMfaToken('used before');
  }

  private open(text: string | undefined): MfaTicket | undefined {
    if (text === undefined) return undefined;
    try {
      return Ticket.parse(JSON.parse(this.box.open(text, OWNER)));
    } catch {
      return undefined;
    }
  }
}

export const invalidMfaToken = (reason: string) => new BadCredential('invalid_mfa_token', reason);
