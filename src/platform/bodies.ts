import type { IncomingMessage } from 'node:http';
import type { Media } from '../auth/index.js';

const bodies = new WeakMap<IncomingMessage, Body>();

export interface Body {
  readonly raw: Buffer;
  readonly media: Media;
  readonly value: unknown;
}

export const setBody = (request: IncomingMessage, body: Body) => bodies.set(request, body);
export const bodyOf = (request: IncomingMessage): Body | undefined => bodies.get(request);
