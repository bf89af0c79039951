import { Catch, Injectable, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { isLocalPath } from '../authentication/local-path.js';
import { headerLines, rawRequest, requestOf } from '../authentication/request.js';
import { ProblemFilter, type ErrorResponse } from '../http/problem.filter.js';
import { errorPage, pageHeaders, renderPage } from './layout.js';

const SIGN_IN_PATH = '/account/sign-in';

/**
 * `@UseFilters(PageFilter)`: a controller of pages. A browser receives an error as a page, and goes to the sign-in page if
 * it must sign in to see one. Other clients receive a problem.
 */
@Injectable()
@Catch()
export class PageFilter implements ExceptionFilter {
  constructor(private readonly problems: ProblemFilter) {}

  catch(exception: unknown, context: ArgumentsHost): void {
    const request = rawRequest(requestOf(context));
    const acceptsHtml = headerLines(request, 'accept').some((accepted) => accepted.includes('text/html'));
    if (!acceptsHtml) return this.problems.catch(exception, context);
    this.problems.respond(exception, context, ({ status, detail, code }, headers) => {
      if (status === 401 && ['GET', 'HEAD'].includes(request.method!)) return redirectToSignIn(request.url!);
      const page = errorPage(detail, code);
      return { status, headers: { ...headers, ...pageHeaders(page) }, body: renderPage(page) };
    });
  }
}

function redirectToSignIn(target: string): ErrorResponse {
  const query = isLocalPath(target) ? `?${new URLSearchParams({ returnTo: target }).toString()}` : '';
  return { status: 303, headers: { Location: SIGN_IN_PATH + query }, body: '' };
}
