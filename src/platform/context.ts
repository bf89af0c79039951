import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';

/** What is known of a request from its first byte on. */
export interface RequestContext {
  /** Made here and never taken from the caller. */
  readonly requestId: string;
  /** The route's pattern and the client's address, as the adapter finds them; before it runs nothing is known. */
  seen: () => { readonly route: string | undefined; readonly ip: string | undefined };
}

export const current = new AsyncLocalStorage<RequestContext>();

/** The id of the request under way. */
export const requestId = (): string | undefined => current.getStore()?.requestId;

const bodies = new WeakMap<IncomingMessage, Body>();

export interface Body {
  readonly raw: Buffer;
  readonly value: unknown;
}

export const setBody = (request: IncomingMessage, body: Body) => bodies.set(request, body);
export const bodyOf = (request: IncomingMessage): Body | undefined => bodies.get(request);
