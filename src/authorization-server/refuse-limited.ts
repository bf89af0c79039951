import { ForbiddenException } from '@nestjs/common';
import { isLimited, type Principal } from '../authentication/principal.js';

/**
 * What an application was given says nothing of what it may do with what others were given. Neither lets in, nor sees, nor
 * ends anything: a credential with a ceiling, one that ends by itself, one of an application.
 *
 * @throws ForbiddenException `limited_credential`
 */
export function refuseLimited(caller: Principal): void {
  if (isLimited(caller))
    throw new ForbiddenException({
      code: 'limited_credential',
      detail: 'This takes a credential of your own, without limits.',
    });
}
