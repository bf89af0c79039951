import type { IncomingMessage } from 'node:http';
import type { MediaType } from '../authentication/plan.js';

const bodies = new WeakMap<IncomingMessage, RequestBody>();

export interface RequestBody {
  readonly raw: Buffer;
  readonly media: MediaType;
  readonly value: unknown;
}

export const setRequestBody = (request: IncomingMessage, body: RequestBody) => bodies.set(request, body);
export const requestBody = (request: IncomingMessage): RequestBody | undefined => bodies.get(request);
