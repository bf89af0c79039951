import { BadRequestException } from '@nestjs/common';
import type { AuthRequest } from '../authentication/request.js';

/**
 * A cookie for one step of a sign-in in one browser. With `__Host-` no other host of the domain can set it (RFC 6265bis section
 * 4.1.3.2). Browsers do not store such a cookie over plain HTTP, so in development it has no prefix. `SameSite=Lax`: the link of a
 * mail and the redirect of a provider send it.
 */
export class HostCookie {
  readonly name: string;
  private readonly attributes: string;

  constructor(
    publicUrl: string,
    name: string,
    private readonly lifetimeSeconds: number,
  ) {
    const secure = publicUrl.startsWith('https:');
    this.name = `${secure ? '__Host-' : ''}${name}`;
    this.attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  }

  /** @param value of characters that a cookie may contain (RFC 6265 section 4.1.1), as base64url */
  set(value: string, request: AuthRequest): void {
    request.setHeader(
      'Set-Cookie',
      `${this.name}=${value}; ${this.attributes}; Max-Age=${this.lifetimeSeconds}`,
    );
  }

  clear(request: AuthRequest): void {
    request.setHeader('Set-Cookie', `${this.name}=; ${this.attributes}; Max-Age=0`);
  }

  /**
   * @returns undefined if the request has no such cookie
   * @throws BadRequestException `duplicate_cookie`: an attacker may have planted one of them
   */
  readOne(request: AuthRequest): string | undefined {
    const [value, ...others] = request.cookies(this.name);
    if (!others.length) return value;
    throw new BadRequestException({
      code: 'duplicate_cookie',
      detail: `The cookie ${this.name} came twice.`,
    });
  }
}
