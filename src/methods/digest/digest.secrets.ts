import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import type { User } from '../../users/user.entity.js';
import { REALM, digestConfig } from './digest.config.js';
import { DigestCredential } from './digest.entity.js';
import { computeHa1, computeUserhash, type Algorithm } from './digest.js';

/** H(A1) by each algorithm that was offered when it was made. */
type Ha1s = Partial<Record<Algorithm, string>>;

/** Makes what is kept of an account that signs in by Digest, and opens it. */
@Injectable()
export class DigestSecrets {
  /** A row of nobody's: to open in the place of one that is not there, at the same cost. */
  readonly decoy: DigestCredential;
  private readonly box: SecretBox;
  private readonly algorithms: readonly Algorithm[];

  constructor(settings: Settings) {
    this.box = new SecretBox(settings, 'digest');
    this.algorithms = digestConfig(settings).algorithms;
    const nobody = { id: 'nobody', username: 'nobody' };
    this.decoy = this.make(nobody, randomBytes(32).toString('base64'), new Date(0));
  }

  /** @param password the account's own, which has been verified */
  make(user: Pick<User, 'id' | 'username'>, password: string, passwordChangedAt: Date): DigestCredential {
    const ha1s: Ha1s = Object.fromEntries(
      this.algorithms.map((each) => [each, computeHa1(each, user.username, REALM, password)]),
    );
    return {
      userId: user.id,
      sealed: this.box.seal(JSON.stringify(ha1s), user.id),
      userhashSha256: computeUserhash('SHA-256', user.username, REALM),
      userhashSha512256: computeUserhash('SHA-512-256', user.username, REALM),
      passwordChangedAt,
      enabledAt: new Date(),
    };
  }

  /** @returns undefined where it was made before this algorithm was offered */
  open(
    { sealed, userId }: Pick<DigestCredential, 'sealed' | 'userId'>,
    algorithm: Algorithm,
  ): string | undefined {
    return (JSON.parse(this.box.open(sealed, userId)) as Ha1s)[algorithm];
  }
}
