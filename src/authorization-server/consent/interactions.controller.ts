import {
  BadRequestException,
  Body,
  Controller,
  Get,
  Param,
  Post,
  Query,
  Req,
  Res,
  UseFilters,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Consumes, CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AdapterRequest, AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { secondStepPage, signInPage } from '../pages/interaction-pages.js';
import { CredentialField } from '../../pages/factor-forms.js';
import { formActionSources, pageHeaders, renderPage, type Page } from '../../pages/layout.js';
import { PageFilter } from '../../pages/page.filter.js';
import { clientNameOf } from '../pages/provider-pages.js';
import { readBrowserSecret, rejectDuplicateCookies } from '../provider/http-security.js';
import { withRequestState } from '../provider/provider-request.js';
import { ConsentPrompt } from './consent-prompt.service.js';
import { CsrfToken, InteractionsService, type PendingInteraction } from './interactions.service.js';
import { InteractionSignIn, type SecondStep } from './interaction-sign-in.service.js';
import { acceptedAcrs } from './sign-in-prompt.js';

const text = z.string().max(1024);
const Form = z.object({
  token: text.optional(),
  action: z.enum(['sign-in', 'second-step', 'factor', 'cancel', 'allow', 'deny']),
  username: text.default(''),
  password: text.default(''),
  mfa_token: z.string().max(4_096).default(''),
  factor: text.default(''),
  code: text.optional(),
  credential: CredentialField.optional(),
  scope: z.union([text.transform((single) => [single]), z.array(text)]).default([]),
});

/** The pages of oidc-provider's interactions: sign-in and consent. */
@Controller('interaction')
@Public()
@ExcludeFromOpenApi()
@UseFilters(PageFilter)
export class InteractionsController {
  constructor(
    private readonly interactions: InteractionsService,
    private readonly csrf: CsrfToken,
    private readonly signIns: InteractionSignIn,
    private readonly consent: ConsentPrompt,
    private readonly host: HttpAdapterHost,
    private readonly settings: Settings,
  ) {}

  /** @param as present if the person wants to sign in with another account */
  @Get(':uid')
  page(
    @Param('uid') uid: string,
    @Query('as') as: unknown,
    @Req() request: AdapterRequest,
    @Res({ passthrough: true }) response: AdapterResponse,
    @CurrentRequest() authRequest: AuthRequest,
  ): Promise<string> {
    return this.inRequestState(authRequest, async () => {
      const pending = await this.interactions.find(uid, request, response, authRequest);
      const { interaction } = pending;
      if (interaction.prompt.name === 'consent' && as === undefined)
        return this.sendPage(response, 200, await this.consent.page(pending, this.csrf.create(interaction)));
      const hint = interaction.params['login_hint'];
      const username = typeof hint === 'string' ? hint : undefined;
      return this.sendPage(response, 200, await this.signInPage(pending, authRequest, username));
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
    @CurrentRequest() authRequest: AuthRequest,
  ): Promise<string> {
    return this.inRequestState(authRequest, async () => {
      const pending = await this.interactions.find(uid, request, response, authRequest);
      const form = Form.safeParse(body ?? {});
      this.csrf.verify(authRequest, pending.interaction, form.data?.token);
      if (!form.success) throw invalidForm();
      const { action, username, password, scope, mfa_token, factor, code, credential } = form.data;
      if (action === 'cancel' || action === 'deny') return this.redirect(response, await deny(pending));
      if (action === 'allow') return this.redirect(response, await this.consent.allow(pending, scope));
      const requested = acceptedAcrs(pending.interaction.params);
      const result =
        action === 'sign-in'
          ? await this.signIns.signIn(username, password, requested, authRequest)
          : action === 'factor'
            ? await this.signIns.signInAlone({ factor, credential }, requested, authRequest)
            : await this.signIns.complete({ mfa_token, factor, code, credential }, requested, authRequest);
      if ('login' in result)
        return this.redirect(response, await pending.finish(result, { mergeWithLastSubmission: false }));
      const page = result.secondStep
        ? this.secondStepPage(pending, result.secondStep, result.message)
        : await this.signInPage(pending, authRequest, username, result.message);
      return this.sendPage(response, result.status, page, result.headers);
    });
  }

  private async signInPage(
    { interaction, client }: PendingInteraction,
    request: AuthRequest,
    username?: string,
    error?: string,
  ): Promise<Page> {
    return signInPage({
      factors: await this.signIns.formsAlone(request),
      client: clientNameOf(client),
      csrfToken: this.csrf.create(interaction),
      username,
      error,
      formAction: formActionSources(interaction.params['redirect_uri']),
    });
  }

  private secondStepPage(
    { interaction }: PendingInteraction,
    { ticket, factors }: SecondStep,
    error?: string,
  ) {
    return secondStepPage({
      csrfToken: this.csrf.create(interaction),
      ticket,
      factors,
      error,
      formAction: formActionSources(interaction.params['redirect_uri']),
    });
  }

  private async inRequestState(request: AuthRequest, handle: () => Promise<string>): Promise<string> {
    rejectDuplicateCookies(request, this.settings);
    return withRequestState(readBrowserSecret(request, this.settings), handle);
  }

  private sendPage(
    response: AdapterResponse,
    status: number,
    page: Page,
    headers?: Readonly<Record<string, string>>,
  ) {
    return this.send(response, status, { ...pageHeaders(page), ...headers }, renderPage(page));
  }

  private redirect(response: AdapterResponse, location: string): string {
    return this.send(response, 303, { Location: location }, '');
  }

  private send(
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

const deny = ({ finish }: PendingInteraction) =>
  finish(
    { error: 'access_denied', error_description: 'the person denied the request' },
    { mergeWithLastSubmission: false },
  );

const invalidForm = () =>
  new BadRequestException({
    code: 'invalid_body',
    detail: 'The form is invalid. Open the page again.',
  });
