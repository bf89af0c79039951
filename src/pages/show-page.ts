import type { HttpAdapterHost } from '@nestjs/core';
import type { AdapterResponse } from '../authentication/request.js';
import { pageHeaders, renderPage, type Page } from './layout.js';

/**
 * Sets the headers of a page on a response.
 * @param headers replace those of every page
 * @returns the body, for the handler to return
 */
export function showPage(
  { httpAdapter }: HttpAdapterHost,
  response: AdapterResponse,
  page: Page,
  headers: Readonly<Record<string, string>> = {},
): string {
  for (const [name, value] of Object.entries({ ...pageHeaders(page), ...headers }))
    httpAdapter.setHeader(response, name, value);
  return renderPage(page);
}
