import { constants, openSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { DestinationStream } from 'pino';

const STANDARD_OUTPUT = 1;
/** Writes 8 KiB at once, or after a second: a write per line takes a tenth of the time of a request. */
const MIN_WRITE_CHARACTERS = 8192;
const WRITE_INTERVAL_MS = 1_000;
/** Lines beyond this are dropped, so that a reader that stops reading costs no more memory. */
const MAX_WAITING_CHARACTERS = 1024 * 1024;
const FULL_PIPE_RETRY_MS = 50;
const FAILED_WRITE_RETRY_MS = 1_000;
/** The time that a slow reader has for the last lines. */
const MAX_EXIT_DELAY_MS = 1_000;
const LINE_FEED = 10;

/**
 * Writes log lines to standard output, and never blocks or ends the process: not on a full disk, not if the reader of a pipe
 * stops reading, and not after it closes the pipe. Lines that cannot be written are dropped and counted. A line reports their
 * number once a write succeeds again.
 *
 * Written here because pino's own destination blocks a thread on a full pipe, repeats a failed write forever at exit, and
 * drops all further lines silently after a pipe was closed. Test: test/http/log-sink.e2e-spec.ts.
 */
export class LogSink implements DestinationStream {
  private waiting: string[] = [];
  private waitingCharacters = 0;
  /** The part of the current chunk that is still to be written. */
  private rest = Buffer.alloc(0);
  /** True until the current chunk is written or dropped, and in the pause after a failure. */
  private isBusy = false;
  /** True while Node writes {@link rest} on another thread. */
  private isWriting = false;
  private timer: NodeJS.Timeout | undefined;
  /** Lines that were dropped and not reported. */
  private dropped = 0;
  /** Whether the last write ended within a line. */
  private isTorn = false;

  /** @param fd for a pipe and a terminal it must be non-blocking: a blocked write cannot be ended, not even by the exit */
  constructor(private readonly fd = openStandardOutput()) {
    process.once('exit', () => this.writeAtExit());
  }

  write(line: string): void {
    if (this.waitingCharacters + line.length > MAX_WAITING_CHARACTERS) {
      this.dropped++;
      return;
    }
    this.waiting.push(line);
    this.waitingCharacters += line.length;
    if (!this.isBusy) this.writeSoon();
  }

  private writeSoon(): void {
    if (this.waitingCharacters >= MIN_WRITE_CHARACTERS) this.writeNext();
    else this.timer ??= setTimeout(() => this.writeNext(), WRITE_INTERVAL_MS).unref();
  }

  private writeNext(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isBusy = true;
    const reported = this.dropped;
    this.rest = this.takeChunk();
    this.writeRest(reported);
  }

  /** The waiting lines, and the number of dropped lines if there are any. */
  private takeChunk(): Buffer<ArrayBuffer> {
    const lines = this.isTorn ? ['\n', ...this.waiting] : this.waiting;
    if (this.dropped) lines.push(reportOf(this.dropped));
    this.waiting = [];
    this.waitingCharacters = 0;
    return Buffer.from(lines.join(''));
  }

  /** @param reported the number of dropped lines that the chunk reports */
  private writeRest(reported: number): void {
    this.isWriting = true;
    write(this.fd, this.rest, 0, this.rest.length, null, (error, written) => {
      this.isWriting = false;
      if (error?.code === 'EAGAIN') return this.retry(() => this.writeRest(reported), FULL_PIPE_RETRY_MS);
      if (error) return this.dropRest(reported);
      this.isTorn = this.rest[written - 1] !== LINE_FEED;
      this.rest = this.rest.subarray(written);
      if (this.rest.length) return this.writeRest(reported);
      this.dropped -= reported;
      this.isBusy = false;
      if (this.dropped) this.writeNext();
      else if (this.waiting.length) this.writeSoon();
    });
  }

  private dropRest(reported: number): void {
    const ends = this.rest.filter((byte) => byte === LINE_FEED).length;
    // Neither the report nor the line feed after a torn line ends a line of the log.
    this.dropped += ends - Number(reported > 0) - Number(this.rest[0] === LINE_FEED);
    this.rest = Buffer.alloc(0);
    this.retry(() => this.writeNext(), FAILED_WRITE_RETRY_MS);
  }

  private retry(attempt: () => void, delayMs: number): void {
    setTimeout(attempt, delayMs).unref();
  }

  private writeAtExit(): void {
    let rest: Uint8Array = Buffer.concat([...(this.isWriting ? [] : [this.rest]), this.takeChunk()]);
    const deadline = Date.now() + MAX_EXIT_DELAY_MS;
    while (rest.length && Date.now() < deadline)
      try {
        rest = rest.subarray(writeSync(this.fd, rest));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_RETRY_MS);
      }
  }
}

function openStandardOutput(): number {
  // Node makes a pipe non-blocking when standard output is first used.
  process.stdout.on('error', () => {});
  if (!isatty(STANDARD_OUTPUT)) return STANDARD_OUTPUT;
  // A terminal may be stopped, with Ctrl-S for example.
  try {
    return openSync('/dev/stdout', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // The terminal belongs to another user.
    return STANDARD_OUTPUT;
  }
}

const reportOf = (dropped: number) =>
  `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), event: 'log lines dropped', dropped })}\n`;
