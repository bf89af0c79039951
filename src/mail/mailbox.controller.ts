import { Controller, Get, NotFoundException, Param, Query, Res, UseFilters } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import Negotiator from 'negotiator';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../authentication/describe.js';
import { CurrentRequest, Public } from '../authentication/plan.js';
import type { AdapterResponse, AuthRequest } from '../authentication/request.js';
import { isLoopbackHost } from '../config/demo-settings.js';
import { Settings } from '../config/settings.js';
import { html, type Html } from '../pages/html.js';
import type { Page } from '../pages/layout.js';
import { PageFilter } from '../pages/page.filter.js';
import { showPage } from '../pages/show-page.js';
import { Mailbox, type StoredMail } from './mailbox.service.js';

/** Shows the mails of {@link Mailbox}: pages in a browser, otherwise JSON. Installed only where no mail is sent. */
@Controller('dev/mail')
@Public()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class MailboxController {
  constructor(
    private readonly mailbox: Mailbox,
    private readonly settings: Settings,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get()
  list(
    @Query({ schema: z.object({ to: z.string().optional() }) }) { to }: { to?: string },
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ) {
    this.rejectOtherHosts(request);
    const items = this.mailbox.list(to);
    return prefersHtml(request) ? showPage(this.host, response, listPage(items)) : { items };
  }

  @Get(':id')
  show(
    @Param('id') id: string,
    @CurrentRequest() request: AuthRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
  ) {
    this.rejectOtherHosts(request);
    const mail = this.mailbox.find(Number(id));
    if (!mail) throw new NotFoundException();
    return prefersHtml(request)
      ? showPage(this.host, response, mailPage(mail, this.settings.publicUrl))
      : mail;
  }

  /** A page whose host name resolves to this computer (DNS rebinding) must not read the mails of a developer. */
  private rejectOtherHosts({ authority }: AuthRequest): void {
    const host = URL.canParse(`http://${authority}`) ? new URL(`http://${authority}`).hostname : '';
    if (!isLoopbackHost(host) && host !== new URL(this.settings.publicUrl).hostname)
      throw new NotFoundException();
  }
}

const prefersHtml = ({ headers }: AuthRequest): boolean =>
  new Negotiator({ headers }).mediaType(['application/json', 'text/html']) === 'text/html';

const listPage = (mails: readonly StoredMail[]): Page => ({
  title: 'Mails',
  body: html`
    <p class="note">This server sends no mail. It shows the last 100 here, because SMTP_URL is not set.</p>
    ${
      mails.length
        ? html`<ul>
            ${mails.map(
              ({ id, to, subject, sentAt }) =>
                html`<li><a href="/dev/mail/${id}">${subject}</a> to ${to}, ${sentAt.toISOString()}</li>`,
            )}
          </ul>`
        : html`<p>There is no mail yet.</p>`
    }
  `,
});

const mailPage = ({ to, subject, text, sentAt }: StoredMail, publicUrl: string): Page => ({
  title: subject,
  body: html`
    <p>To ${to}, ${sentAt.toISOString()}</p>
    <pre class="mail">${withLinks(text, `${publicUrl}/`)}</pre>
    <p><a href="/dev/mail">All mails</a></p>
  `,
});

/** Makes the URLs of this server clickable. */
function withLinks(text: string, start: string): readonly (Html | string)[] {
  return text
    .split(/(\S+)/)
    .map((word) => (word.startsWith(start) ? html`<a href="${word}">${word}</a>` : word));
}
