import { ceremonyOf, contractOf, send } from '../contracts.js';
import type { Running } from '../../method.contract.js';

/** The responses of a method to a request without a credential, and to its client. */
export interface Answers {
  readonly nobody: { readonly status: number; readonly challenge: string | null };
  /** By path: the status, and whom the answer says that the caller is. */
  readonly client: Readonly<Record<string, readonly [status: number, id: unknown]>>;
}

/** Runs in a copy: knocks at a method's door as nobody, then as its own client with a credential of bob's. */
export async function knock(
  running: Running,
  method: string,
  ...others: readonly string[]
): Promise<Answers> {
  const demo = `/demo/${method}`;
  const { status, headers } = await fetch(running.origin + demo);
  const client: Record<string, [number, unknown]> = {};
  const credential = await (await contractOf(method)).issue(running, 'bob');
  for (const path of [demo, ...others]) {
    const answer = await send(credential, running.origin + path);
    client[path] = [answer.status, ((await answer.json()) as { id?: unknown }).id];
  }
  return { nobody: { status, challenge: headers.get('www-authenticate') }, client };
}

/** Runs in a copy: goes through a ceremony as bob. @returns the status of its end */
export async function enter(running: Running, ceremony: string, issuer: string): Promise<number> {
  return (await (await ceremonyOf(ceremony))(running, 'bob', issuer)).status;
}

/** Hands what was found to the process that made the copy. */
export const report = (found: object): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send!(found, (error: Error | null) => (error ? reject(error) : resolve())),
  );
