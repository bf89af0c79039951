import { HttpException, HttpStatus } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import type { AdapterResponse } from '../authentication/request.js';
import type { Page } from './layout.js';
import { showPage } from './show-page.js';

export interface FormErrors {
  /** Above the fields. */
  readonly form?: string | undefined;
  /** By the name of a field. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** By the code of an error: the text above the form, or a field and the text there. */
export type FormMessages = Readonly<Record<string, string | readonly [field: string, text: string]>>;

/** The limits and failures of forms that send mails. */
export const MAIL_MESSAGES: FormMessages = {
  too_many_mails: 'Too many mails were requested. Wait an hour, then try again.',
  mail_unavailable: 'Mails cannot be sent at present. Try again later.',
};

/**
 * Shows a form again, with the errors of its fields.
 * @throws the error itself, if it has neither fields nor a message: the page filter shows it
 */
export async function showRejectedForm(
  host: HttpAdapterHost,
  response: AdapterResponse,
  error: unknown,
  messages: FormMessages,
  pageWith: (errors: FormErrors) => Page | Promise<Page>,
): Promise<string> {
  const errors = formErrorsOf(error, messages);
  if (!errors) throw error;
  const page = await pageWith(errors);
  const status = (error as HttpException).getStatus();
  // Not 401, which requires a challenge that a browser would show.
  host.httpAdapter.status(response, status === 401 ? HttpStatus.UNPROCESSABLE_ENTITY : status);
  return showPage(host, response, page, (error as { headers?: Record<string, string> }).headers);
}

function formErrorsOf(error: unknown, messages: FormMessages): FormErrors | undefined {
  if (!(error instanceof HttpException)) return undefined;
  const body = error.getResponse() as { code?: string; errors?: { field: string; message: string }[] };
  const message = messages[body.code ?? ''];
  if (typeof message === 'string') return { form: message };
  if (message) return { fields: { [message[0]]: message[1] } };
  if (!body.errors?.length) return undefined;
  const fields: Record<string, string> = {};
  for (const { field, message: text } of body.errors)
    fields[field] = field in fields ? `${fields[field]} ${text}` : text;
  return { fields };
}
