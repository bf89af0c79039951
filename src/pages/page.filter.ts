import { Catch, Injectable, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { isLocalPath } from '../authentication/local-path.js';
import { headerLines, rawRequest, requestOf } from '../authentication/request.js';
import { ProblemFilter, type ErrorResponse } from '../http/problem.filter.js';
import { errorPage, pageHeaders, renderPage } from './layout.js';

export const ACCOUNT_PATH = '/account/security';
export const SIGN_IN_PATH = '/account/sign-in';
const SECOND_STEP_PATH = '/account/second-step';
export const STEP_UP_PATH = '/account/step-up';

/**
 * `@UseFilters(PageFilter)`: a controller of pages. A browser receives an error as a page. If it must sign in, or prove a
 * factor, it goes to the page for that. Other clients receive a problem.
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
      const isRead = ['GET', 'HEAD'].includes(request.method!);
      if (code === 'mfa_required') return redirect(SECOND_STEP_PATH);
      if (code === 'insufficient_user_authentication')
        return redirect(STEP_UP_PATH, isRead ? request.url! : ACCOUNT_PATH);
      if (status === 401 && isRead) return redirect(SIGN_IN_PATH, request.url);
      const page = errorPage(detail, code);
      return { status, headers: { ...headers, ...pageHeaders(page) }, body: renderPage(page) };
    });
  }
}

/** @param returnTo the path to which the browser goes afterwards */
function redirect(path: string, returnTo = ''): ErrorResponse {
  const query = isLocalPath(returnTo) ? `?${new URLSearchParams({ returnTo }).toString()}` : '';
  return { status: 303, headers: { Location: path + query }, body: '' };
}
