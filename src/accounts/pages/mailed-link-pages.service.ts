import { HttpException, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { AdapterResponse } from '../../authentication/request.js';
import { html, type Html } from '../../pages/html.js';
import type { Page } from '../../pages/layout.js';
import { showPage } from '../../pages/show-page.js';
import type { TokenPurpose } from '../account-token.entity.js';
import { AccountTokens, invalidMailedToken, type FoundToken } from '../account-tokens.service.js';

/** The URL has the token. Unlike `no-referrer`, this keeps `Origin` with the form. */
const HEADERS = { 'Referrer-Policy': 'strict-origin' };

/** A link to what the reader of an invalid link does next. */
export interface NextStep {
  readonly path: string;
  readonly label: string;
}

/** Shows the pages of mailed links. Opening a link uses nothing up, because mail scanners open links, too. Its form does. */
@Injectable()
export class MailedLinkPages {
  constructor(
    private readonly tokens: AccountTokens,
    private readonly host: HttpAdapterHost,
  ) {}

  /** @param token of the query, which may have any type */
  async show<P extends TokenPurpose>(
    response: AdapterResponse,
    token: unknown,
    purposes: readonly P[],
    next: NextStep,
    pageOf: (found: FoundToken<P>, token: string) => Page | Promise<Page>,
  ): Promise<string> {
    try {
      if (typeof token !== 'string') throw invalidMailedToken();
      const found = await this.tokens.find(token, ...purposes);
      return showPage(this.host, response, await pageOf(found, token), HEADERS);
    } catch (error) {
      return this.showInvalid(response, error, next);
    }
  }

  /** @throws the error itself, if it is not that of an invalid token */
  showInvalid(response: AdapterResponse, error: unknown, { path, label }: NextStep): string {
    if (!(error instanceof HttpException)) throw error;
    const { code, detail } = error.getResponse() as { code?: string; detail?: string };
    if (code !== 'invalid_mailed_token') throw error;
    this.host.httpAdapter.status(response, error.getStatus());
    const page = {
      title: 'This link does not work',
      body: html`
        <p role="alert">${detail}</p>
        <p><a href="${path}">${label}</a></p>
      `,
    };
    return showPage(this.host, response, page, HEADERS);
  }
}

export const tokenField = (token: string): Html =>
  html`<input type="hidden" name="token" value="${token}" />`;
