import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { NetworkLimit } from '../../rate-limits/network-limit.js';
import { errorPage } from '../../pages/layout.js';
import { sendPage } from '../pages/provider-pages.js';
import { errors } from '../provider/oidc-provider.js';
import { POSTED_PATHS, authRequestOfKoa } from '../provider/provider-request.js';
import { AdapterFactory } from '../storage/adapter-factory.service.js';

/** The query parameter that refers to the stored parameters. */
const REFERENCE = 'posted';
/** The limit of a GET request with all its headers. */
const MAX_FORM_BYTES = 16 * 1024;
/** A browser follows a redirect immediately. */
const LIFETIME_SECONDS = 60;
/** Anyone can post, so the forms that no browser comes back for are limited. The others do not count. */
const MAX_ABANDONED_PER_NETWORK = 100;
const MAX_ABANDONED = 2_000;
const ABANDONED_WINDOW_SECONDS = 15 * 60;

/**
 * Accepts authentication and logout requests by POST (OpenID Connect Core 1.0 section 3.1.2.1, RP-Initiated Logout 1.0
 * section 2). A browser sends no `SameSite=Lax` cookie with the form of another site. So the server stores the parameters
 * and redirects to a GET request with a reference to them, which carries the cookies.
 *
 * The reference is not bound to a browser, because it permits no more than a link with the same parameters.
 */
@Injectable()
export class PostedRequests {
  private readonly adapter: Adapter;
  private readonly abandoned: NetworkLimit;

  constructor(dataSource: DataSource, adapters: AdapterFactory) {
    this.adapter = adapters.create('PostedRequest');
    const points = { perNetwork: MAX_ABANDONED_PER_NETWORK, total: MAX_ABANDONED };
    this.abandoned = new NetworkLimit(dataSource, 'posted request', points, ABANDONED_WINDOW_SECONDS);
  }

  /** Koa middleware before oidc-provider's routes. */
  readonly middleware = async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    if (!POSTED_PATHS.includes(ctx.path)) return next();
    if (ctx.method === 'POST') return this.store(ctx);
    const reference = ctx.query[REFERENCE];
    if (ctx.method !== 'GET' || reference === undefined) return next();
    const form = await this.take(ctx, String(reference));
    if (form === undefined)
      return reject(ctx, 400, 'invalid_request', 'This request has expired, or it was already used.');
    // Only oidc-provider reads this URL. The browser and the logs have the one with the reference.
    ctx.req.url = `${ctx.path}?${form}`;
    return next();
  };

  private async store(ctx: KoaContextWithOIDC): Promise<void> {
    const { rawBody = Buffer.alloc(0), ip } = authRequestOfKoa(ctx);
    if (rawBody.length && !ctx.is('application/x-www-form-urlencoded'))
      return reject(ctx, 415, 'invalid_request', 'The request must be a form.');
    if (ctx.querystring)
      return reject(ctx, 400, 'invalid_request', 'The parameters must be in the body, not in the URL.');
    if (rawBody.length > MAX_FORM_BYTES)
      return reject(ctx, 413, 'invalid_request', 'The request is longer than 16 KiB.');
    const retryAfter = await this.abandoned.consume(ip);
    if (retryAfter !== undefined) {
      ctx.set('Retry-After', String(retryAfter));
      return reject(ctx, 429, 'temporarily_unavailable', 'There are too many unfinished requests.');
    }
    const reference = randomBytes(32).toString('base64url');
    const { path } = ctx;
    // Parsed and written again, because a body may contain characters that have another meaning in a URL.
    const form = new URLSearchParams(rawBody.toString('utf8')).toString();
    await this.adapter.upsert(reference, { path, form }, LIFETIME_SECONDS);
    ctx.set('Cache-Control', 'no-store');
    ctx.status = 303;
    ctx.redirect(`/oidc${path}?${REFERENCE}=${reference}`);
  }

  /** @returns undefined for a reference that is unknown, expired, used, or of the other endpoint */
  private async take(ctx: KoaContextWithOIDC, reference: string): Promise<string | undefined> {
    const stored = (await this.adapter.find(reference)) as { path: string; form: string } | undefined;
    if (stored?.path !== ctx.path) return undefined;
    try {
      await this.adapter.consume(reference);
    } catch (error) {
      if (error instanceof errors.InvalidGrant) return undefined;
      throw error;
    }
    await this.adapter.destroy(reference);
    await this.abandoned.refund(authRequestOfKoa(ctx).ip);
    return stored.form;
  }
}

function reject(ctx: KoaContextWithOIDC, status: number, code: string, detail: string): void {
  ctx.status = status;
  sendPage(ctx, errorPage(detail, code));
}
