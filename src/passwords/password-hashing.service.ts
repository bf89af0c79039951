import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { randomBytes } from 'node:crypto';

/** argon2id (2 is `Algorithm.Argon2id`) at OWASP's recommended cost: about 19 MiB and 20 ms of one core. */
const COST = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/**
 * The password as it is hashed: RFC 8265's OpaqueString (section 4.2), so that one text typed on two keyboards is
 * one password. Nothing is cut, folded or trimmed.
 */
export const normalizePassword = (password: string): string =>
  password.replace(/\p{Zs}/gu, ' ').normalize('NFC');

/** argon2id, in Node's thread pool: the event loop goes on serving meanwhile. */
@Injectable()
export class PasswordHashing implements OnModuleInit {
  private decoyHash = '';

  async onModuleInit(): Promise<void> {
    this.decoyHash = await this.hash(randomBytes(32).toString('base64'));
  }

  /** The hash of a password that nobody knows, to verify against where there is no other: it costs the same. */
  get decoy(): string {
    return this.decoyHash;
  }

  /** @returns the PHC string, with a salt of its own */
  hash(password: string): Promise<string> {
    return hash(normalizePassword(password), COST);
  }

  verify(stored: string, password: string): Promise<boolean> {
    return verify(stored, normalizePassword(password));
  }
}
