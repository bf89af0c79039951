import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { randomBytes } from 'node:crypto';

/** argon2id (2 is `Algorithm.Argon2id`) with the parameters that OWASP recommends: about 19 MiB and 20 ms of one core. */
const ARGON2_OPTIONS = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/**
 * Normalizes a password before hashing, as the OpaqueString profile prescribes (RFC 8265 section 4.2): the same text
 * typed on two keyboards is the same password. It does not trim, truncate or change case.
 */
export const normalizePassword = (password: string): string =>
  password.replace(/\p{Zs}/gu, ' ').normalize('NFC');

/** Hashes and verifies passwords with argon2id in Node's thread pool, so the event loop is not blocked. */
@Injectable()
export class PasswordHashing implements OnModuleInit {
  private randomPasswordHash = '';

  async onModuleInit(): Promise<void> {
    this.randomPasswordHash = await this.hash(randomBytes(32).toString('base64'));
  }

  /** The hash of a random password. Verifying against it makes an unknown account cost as much as a known one. */
  get dummyHash(): string {
    return this.randomPasswordHash;
  }

  /** @returns a PHC string with its own salt */
  hash(password: string): Promise<string> {
    return hash(normalizePassword(password), ARGON2_OPTIONS);
  }

  verify(stored: string, password: string): Promise<boolean> {
    return verify(stored, normalizePassword(password));
  }
}
