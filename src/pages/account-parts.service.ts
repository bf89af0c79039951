import { Injectable } from '@nestjs/common';
import type { Authenticator } from '../authentication/authenticator.js';
import type { Principal } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { csrfField, formError } from './forms.js';
import { html, type Html } from './html.js';
import type { Page } from './layout.js';

export interface SignInView {
  readonly username?: string | undefined;
  /** The path to which the browser goes after the sign-in. */
  readonly returnTo?: string | undefined;
  readonly error?: string | undefined;
}

/** The part of a method on the account pages. The method registers it when it starts, so its removal leaves no gap. */
export interface AccountPart {
  /** The position among the parts. */
  readonly order: number;
  /** The paths of its scripts. */
  readonly scripts?: readonly string[];
  /** A form of the sign-in page. */
  signInForm?(view: SignInView, request: AuthRequest): Promise<Html> | Html;
  /**
   * A section of the account page.
   * @param csrf the hidden field of every form
   */
  section?(caller: Principal, csrf: Html): Promise<Html>;
}

/** Assembles the sign-in page and the account page from the parts of the installed methods. */
@Injectable()
export class AccountParts {
  private readonly parts: AccountPart[] = [];

  add(part: AccountPart): void {
    this.parts.push(part);
    this.parts.sort((a, b) => a.order - b.order);
  }

  async signInPage(view: SignInView, request: AuthRequest): Promise<Page> {
    const forms: Html[] = [];
    for (const part of this.parts) {
      const form = await part.signInForm?.(view, request);
      if (form) forms.push(form);
    }
    return { title: 'Sign in', scripts: this.scripts, body: html`${formError(view.error)} ${forms}` };
  }

  async accountPage(caller: Principal, csrf: Html): Promise<Page> {
    const sections: Html[] = [];
    for (const part of this.parts) {
      const section = await part.section?.(caller, csrf);
      if (section) sections.push(section);
    }
    return { title: 'Your account', scripts: this.scripts, body: html`${sections}` };
  }

  private get scripts(): string[] {
    return this.parts.flatMap(({ scripts = [] }) => scripts);
  }
}

/** The hidden field that keeps `returnTo` between the pages of a sign-in. */
export const returnToField = (returnTo: string | undefined): Html | undefined =>
  returnTo === undefined ? undefined : html`<input type="hidden" name="returnTo" value="${returnTo}" />`;

/** The session's token against cross-site requests, for the forms of a signed-in caller. */
export function csrfFieldFor(authenticator: Authenticator, { proofs }: Principal): Html {
  const tokens = proofs.flatMap((proof) => authenticator.strategyOf(proof.method).csrfToken?.(proof) ?? []);
  return html`${tokens.map(csrfField)}`;
}
