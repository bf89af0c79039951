import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpException,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ApiExcludeController } from '@nestjs/swagger';
import { z } from 'zod';
import { CurrentRequest, Public, HttpsOnly, Consumes } from '../authentication/plan.js';
import type { AdapterRequest, AdapterResponse, AuthRequest } from '../authentication/request.js';
import { Decisions } from './decisions.js';
import { FormToken } from './form-token.js';
import { Interactions, type Pending } from './interactions.js';
import { errorPage } from './pages/error.js';
import { formsTo } from './pages/forms-to.js';
import { documentOf, headersOf, type Page } from './pages/layout.js';
import { nameOf } from './pages/show.js';
import { signInPage } from './pages/sign-in.js';
import { STYLE } from './pages/style.js';
import { SignIn } from './sign-in.js';

const one = z.string().max(1024);
const Form = z.object({
  token: one.optional(),
  action: z.enum(['sign-in', 'cancel', 'allow', 'deny']),
  username: one.default(''),
  password: one.default(''),
  scope: z.union([one.transform((only) => [only]), z.array(one)]).default([]),
});

/** The pages on which people sign in and decide what an application may do. */
@Controller('interaction')
@Public()
@ApiExcludeController()
export class InteractionsController {
  constructor(
    private readonly interactions: Interactions,
    private readonly tokens: FormToken,
    private readonly signIns: SignIn,
    private readonly decisions: Decisions,
    private readonly host: HttpAdapterHost,
  ) {}

  @Get('style.css')
  style(@Res({ passthrough: true }) response: AdapterResponse): string {
    const headers = { 'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'public, max-age=3600' };
    return this.answer(response, 200, headers, STYLE);
  }

  @Get(':uid')
  show(
    @Param('uid') uid: string,
    @Query('as') as: unknown,
    @Req() request: AdapterRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
    @CurrentRequest() incoming: AuthRequest,
  ): Promise<string> {
    return this.orError(incoming, response, async () => {
      const pending = await this.interactions.find(uid, request, response, incoming);
      const { prompt, params } = pending.interaction;
      if (prompt.name === 'consent' && as === undefined)
        return this.page(
          response,
          200,
          await this.decisions.page(pending, this.tokens.of(pending.interaction)),
        );
      const hint = params['login_hint'];
      return this.page(response, 200, this.signIn(pending, typeof hint === 'string' ? hint : undefined));
    });
  }

  @Post(':uid')
  @Consumes('form')
  @HttpsOnly()
  submit(
    @Param('uid') uid: string,
    @Body() body: unknown,
    @Req() request: AdapterRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
    @CurrentRequest() incoming: AuthRequest,
  ): Promise<string> {
    return this.orError(incoming, response, async () => {
      const pending = await this.interactions.find(uid, request, response, incoming);
      const form = Form.safeParse(body ?? {});
      this.tokens.refuse(incoming, pending.interaction, form.data?.token);
      if (!form.success) throw unreadable();
      const { action, username, password, scope } = form.data;
      if (action === 'cancel' || action === 'deny') return this.goOn(response, await refuse(pending));
      if (action === 'allow') return this.goOn(response, await this.decisions.allow(pending, scope));
      const result = await this.signIns.signIn(username, password, incoming.ip);
      if ('login' in result)
        return this.goOn(response, await pending.finish(result, { mergeWithLastSubmission: false }));
      const page = this.signIn(pending, username, result.says);
      return this.page(response, result.status, page, result.headers);
    });
  }

  private signIn({ interaction, client }: Pending, username?: string, error?: string): Page {
    return signInPage({
      client: nameOf(client),
      token: this.tokens.of(interaction),
      username,
      error,
      formsTo: formsTo(interaction.params['redirect_uri']),
    });
  }

  /** People get a page that says what is wrong, all others a problem. */
  private async orError(
    incoming: AuthRequest,
    response: AdapterResponse,
    work: () => Promise<string>,
  ): Promise<string> {
    try {
      return await work();
    } catch (error) {
      const people = incoming.lines('Accept').some((accepted) => accepted.includes('text/html'));
      if (!people || !(error instanceof HttpException)) throw error;
      const { code, detail } = error.getResponse() as { code: string; detail: string };
      return this.page(response, error.getStatus(), errorPage(detail, code));
    }
  }

  private page(
    response: AdapterResponse,
    status: number,
    page: Page,
    more?: Readonly<Record<string, string>>,
  ) {
    return this.answer(response, status, { ...headersOf(page), ...more }, documentOf(page));
  }

  private goOn(response: AdapterResponse, location: string): string {
    return this.answer(response, 303, { Location: location }, '');
  }

  private answer(
    response: AdapterResponse,
    status: number,
    headers: Readonly<Record<string, string>>,
    body: string,
  ): string {
    for (const [name, value] of Object.entries(headers))
      this.host.httpAdapter.setHeader(response, name, value);
    this.host.httpAdapter.status(response, status);
    return body;
  }
}

const refuse = ({ finish }: Pending) =>
  finish(
    { error: 'access_denied', error_description: 'the person said no' },
    { mergeWithLastSubmission: false },
  );

const unreadable = () =>
  new BadRequestException({
    code: 'invalid_body',
    detail: 'The form does not fit this page. Open the page again.',
  });
