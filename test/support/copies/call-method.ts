import { ceremonyOf, contractOf, send } from '../contracts.js';
import type { Running } from '../../method.contract.js';

/** The responses of a method's demo route and further routes. */
export interface MethodResponses {
  /** The response to a request without a credential. */
  readonly anonymous: { readonly status: number; readonly challenge: string | null };
  /** By path: the status and the caller's id in the response to the method's own client. */
  readonly client: Readonly<Record<string, readonly [status: number, id: unknown]>>;
}

/** Runs in a copy: calls a method's demo route without a credential, then all routes with a credential of bob. */
export async function callMethod(
  running: Running,
  method: string,
  ...others: readonly string[]
): Promise<MethodResponses> {
  const demo = `/demo/${method}`;
  const { status, headers } = await fetch(running.origin + demo);
  const client: Record<string, [number, unknown]> = {};
  const credential = await (await contractOf(method)).issue(running, 'bob');
  for (const path of [demo, ...others]) {
    const response = await send(credential, running.origin + path);
    client[path] = [response.status, ((await response.json()) as { id?: unknown }).id];
  }
  return { anonymous: { status, challenge: headers.get('www-authenticate') }, client };
}

/** Runs in a copy: signs bob in by a ceremony. @returns the status of its last response */
export async function signInByCeremony(running: Running, ceremony: string, issuer: string): Promise<number> {
  return (await (await ceremonyOf(ceremony))(running, 'bob', issuer)).status;
}

/** Sends a result to the process that made the copy. */
export const sendToParent = (result: object): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send!(result, (error: Error | null) => (error ? reject(error) : resolve())),
  );
