import { Controller, Get, Res } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import Negotiator from 'negotiator';
import { hash } from 'node:crypto';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { CurrentRequest, Public } from '../authentication/plan.js';
import type { AuthRequest } from '../authentication/request.js';
import { DEMO_TAG } from './combined.controller.js';

const HOME = {
  name: 'Auth Atlas',
  description: 'Every way to authenticate an HTTP API, in one NestJS application.',
  links: { api: '/openapi', openapi: '/openapi.json', methods: '/methods', docs: 'docs/index.md' },
};

const Home = z
  .object({ name: z.string(), description: z.string(), links: z.record(z.string(), z.string()) })
  .meta({ id: 'Home' });

const STYLE =
  'body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }';

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${HOME.name}</title>
    <style>${STYLE}</style>
  </head>
  <body>
    <h1>${HOME.name}</h1>
    <p>${HOME.description}</p>
    <ul>
      <li><a href="${HOME.links.api}">All routes</a>, also as <a href="${HOME.links.openapi}">OpenAPI document</a></li>
      <li><a href="${HOME.links.methods}">The installed methods</a></li>
      <li>Documentation: <code>${HOME.links.docs}</code> in the source</li>
    </ul>
  </body>
</html>
`;

const STYLE_HASH = hash('sha256', STYLE, 'base64');

@Controller()
@Tag('Demo', DEMO_TAG)
export class HomeController {
  constructor(private readonly host: HttpAdapterHost) {}

  /** Describes the application: HTML for a browser, JSON otherwise. */
  @Get()
  @Describe('Show what this is: JSON, or HTML for a browser', { response: Home, media: ['text/html'] })
  @Public()
  showHome(@CurrentRequest() request: AuthRequest, @Res({ passthrough: true }) response: unknown) {
    const setHeader = (name: string, value: string) => this.host.httpAdapter.setHeader(response, name, value);
    request.setHeader('Vary', 'Accept');
    if (
      new Negotiator({ headers: request.headers }).mediaType(['application/json', 'text/html']) !==
      'text/html'
    )
      return HOME;
    setHeader('Content-Type', 'text/html; charset=utf-8');
    setHeader(
      'Content-Security-Policy',
      `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'`,
    );
    return PAGE;
  }
}
