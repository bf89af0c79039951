import { ForbiddenException, Injectable } from '@nestjs/common';
import { createHmac } from 'node:crypto';
import type { Interaction } from 'oidc-provider';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';

type TokenBinding = Pick<Interaction, 'uid' | 'prompt' | 'session'>;

/** Protects the forms of the interaction pages against cross-site request forgery (OWASP CSRF Prevention Cheat Sheet). */
@Injectable()
export class CsrfToken {
  private readonly keys: DerivedKeys;

  constructor(private readonly settings: Settings) {
    this.keys = new DerivedKeys(settings, 'oauth forms');
  }

  /** Creates a token that is valid for one interaction, its current prompt, and the session in which it began. */
  create(interaction: TokenBinding): string {
    return this.sign(interaction, this.keys.current.id);
  }

  /** @throws ForbiddenException `invalid_form_token` */
  verify(request: AuthRequest, interaction: TokenBinding, token: unknown): void {
    const [site, origin] = [request.header('Sec-Fetch-Site'), request.header('Origin')];
    if ((site ?? 'same-origin') !== 'same-origin') throw invalidToken('Cross-site forms are rejected.');
    if (origin !== undefined && !this.settings.isOwnOrigin(origin))
      throw invalidToken('Cross-site forms are rejected.');
    const presented = typeof token === 'string' ? token : '';
    const keyId = presented.split('.')[0]!;
    const expected = this.keys.find(keyId) && this.sign(interaction, keyId);
    if (!expected || !constantTimeEqual(presented, expected))
      throw invalidToken('The form has expired or belongs to another page. Open the page again.');
  }

  private sign({ uid, prompt, session }: TokenBinding, keyId: string): string {
    const hmac = createHmac('sha256', this.keys.find(keyId)!);
    return `${keyId}.${hmac.update(JSON.stringify([uid, prompt.name, session?.uid])).digest('base64url')}`;
  }
}

const invalidToken = (detail: string) => new ForbiddenException({ code: 'invalid_form_token', detail });
