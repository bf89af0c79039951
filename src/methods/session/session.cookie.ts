import { BadRequestException } from '@nestjs/common';
import type { AuthRequest } from '../../authentication/request.js';

/**
 * The session cookie. Browsers accept the prefix `__Host-` only with Secure, with Path=/ and without Domain (RFC
 * 6265bis section 4.1.3.2). So no subdomain and no plain HTTP server can set it. Browsers do not store such a cookie
 * over plain HTTP, so in development it has another name.
 */
export class SessionCookie {
  readonly name: string;
  private readonly attributes: string;

  constructor(publicUrl: string) {
    const secure = publicUrl.startsWith('https:');
    this.name = secure ? '__Host-session' : 'session-dev';
    this.attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  }

  /** The `Set-Cookie` value that sets it. Without Max-Age it ends with the browser session. */
  set = (value: string) => `${this.name}=${value}; ${this.attributes}`;

  /** The `Set-Cookie` value that deletes it. */
  clear = () => `${this.name}=; ${this.attributes}; Max-Age=0`;

  isIn = (request: AuthRequest): boolean => request.cookies(this.name).length > 0;

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
