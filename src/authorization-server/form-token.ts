import { ForbiddenException, Injectable } from '@nestjs/common';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Interaction } from 'oidc-provider';
import type { AuthRequest } from '../authentication/request.js';
import { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';

type Asked = Pick<Interaction, 'uid' | 'prompt' | 'session'>;

/** Tells a form that a page of ours has sent from one that another site makes a browser send. */
@Injectable()
export class FormToken {
  private readonly keys: DerivedKeys;

  constructor(private readonly settings: Settings) {
    this.keys = new DerivedKeys(settings, 'oauth forms');
  }

  /** Good for one interaction, for what it asks, and for whoever is signed in as it begins. */
  of(asked: Asked): string {
    return this.made(asked, this.keys.current.id);
  }

  /** @throws ForbiddenException `invalid_form_token` */
  refuse(request: AuthRequest, asked: Asked, token: unknown): void {
    const [site, origin] = [request.header('Sec-Fetch-Site'), request.header('Origin')];
    if (
      (site ?? 'same-origin') !== 'same-origin' ||
      (origin ?? this.settings.publicUrl) !== this.settings.publicUrl
    )
      throw foreign('Another site may not send this form.');
    const given = typeof token === 'string' ? token : '';
    const id = given.split('.')[0]!;
    const wanted = this.keys.find(id) && this.made(asked, id);
    if (!wanted || !same(given, wanted))
      throw foreign('The form is not one of this page. Open the page again.');
  }

  private made({ uid, prompt, session }: Asked, id: string): string {
    const mac = createHmac('sha256', this.keys.find(id)!);
    return `${id}.${mac.update(JSON.stringify([uid, prompt.name, session?.uid])).digest('base64url')}`;
  }
}

function same(given: string, wanted: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(wanted)];
  return left.length === right.length && timingSafeEqual(left, right);
}

const foreign = (detail: string) => new ForbiddenException({ code: 'invalid_form_token', detail });
