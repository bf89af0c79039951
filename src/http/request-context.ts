import { AsyncLocalStorage } from 'node:async_hooks';

/** What is known of a request from its first byte on. */
export interface RequestContext {
  /** Made here and never taken from the caller. */
  readonly requestId: string;
  /** The route's pattern and the client's address, as the adapter finds them; before it runs nothing is known. */
  seen: () => { readonly route: string | undefined; readonly ip: string | undefined };
}

/** The request under way, for whatever writes down what happens in it. */
export const requestContext = new AsyncLocalStorage<RequestContext>();

export const requestId = (): string | undefined => requestContext.getStore()?.requestId;
