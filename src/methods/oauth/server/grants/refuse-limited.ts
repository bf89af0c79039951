import { ForbiddenException } from '@nestjs/common';
import type { Principal } from '../../../../auth/index.js';

/**
 * What an application was given says nothing of what it may do with what others were given. Neither lets in, nor sees, nor
 * ends anything: a credential with a ceiling, one that ends by itself, one of an application.
 *
 * @throws ForbiddenException `beyond_your_credential`
 */
export function refuseLimited({ scopes, details, proofs }: Principal): void {
  if (scopes || details || proofs.some(({ confined, client }) => confined || client !== undefined))
    throw new ForbiddenException({
      code: 'beyond_your_credential',
      detail: 'This takes a credential of your own, without limits.',
    });
}
