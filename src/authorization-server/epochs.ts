import { requestContext, type RequestContext } from '../http/request-context.js';

const seen = new WeakMap<RequestContext, Map<string, number>>();

/**
 * The epoch of an account for all that the request under way writes: the one under which it has first met the account, in a
 * record that was alive. Where "log out everywhere" comes in between, what is written is dead when it arrives.
 */
export function inThisRequest(accountId: string, epoch: number): number {
  const request = requestContext.getStore();
  if (!request) return epoch;
  const epochs = seen.get(request) ?? new Map<string, number>();
  seen.set(request, epochs);
  const first = epochs.get(accountId) ?? epoch;
  epochs.set(accountId, first);
  return first;
}
