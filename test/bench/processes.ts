import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The core of the servers, and the core of the load generator. On Linux each process is pinned to one of them. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

const children: ChildProcess[] = [];

/** A script of the benchmark in its own process. It answers each message with one message. */
export class Process<Message extends object = object> {
  private constructor(private readonly child: ChildProcess) {}

  static start<Message extends object>(
    script: string,
    core: number,
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Process<Message> {
    const pinned = process.platform === 'linux';
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), [...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      ...(pinned && { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath] }),
    });
    children.push(child);
    return new Process<Message>(child);
  }

  /** Sends a message. @returns the answer */
  ask<Answer extends object>(message: Message): Promise<Answer> {
    this.child.send(message);
    return this.nextMessage<Answer>();
  }

  /** The next message of the process. A message with `failed` rejects. */
  nextMessage<Answer extends object>(): Promise<Answer> {
    const { child } = this;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) =>
        reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`));
      child.once('exit', ended);
      child.once('message', (message: Answer | { failed: string }) => {
        child.off('exit', ended);
        if ('failed' in message) reject(new Error(message.failed));
        else resolve(message);
      });
    });
  }
}

/** Ends all processes: each exits when its channel closes. */
export async function stopProcesses(): Promise<void> {
  // The last ones use the databases of the first ones.
  for (const child of children.toReversed()) {
    if (child.exitCode !== null) continue;
    if (child.connected) child.disconnect();
    await once(child, 'exit');
  }
}
