import { Injectable, Logger, type BeforeApplicationShutdown, type Type } from '@nestjs/common';
import { DataSource, In } from 'typeorm';

const A_MINUTE = 60_000;
const BATCH_EVERY_MS = 1_000;
/** Ids in one statement; databases take so many parameters and no more. */
const MOST = 1_000;

/** A table whose rows remember when they were last used. */
interface Table {
  readonly property: string;
  readonly ids: Set<string>;
}

/**
 * Remembers when credentials were last used, to the minute: written in batches, so that no request waits for it and a
 * read API does not become one that writes.
 */
@Injectable()
export class LastUsed implements BeforeApplicationShutdown {
  private readonly logger = new Logger(LastUsed.name);
  private waiting = new Map<Type, Table>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * This row is in use at this moment.
   * @param property the one that holds the moment
   * @param last what it holds; less than a minute ago is good enough
   */
  touch(entity: Type, property: string, id: string, last: Date | null): void {
    if (last && Date.now() - last.getTime() < A_MINUTE) return;
    let table = this.waiting.get(entity);
    if (!table) this.waiting.set(entity, (table = { property, ids: new Set() }));
    table.ids.add(id);
    this.timer ??= setTimeout(() => void this.flush(), BATCH_EVERY_MS).unref();
  }

  /** Writes what is waiting. What cannot be written is dropped: the next use of it tries again. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    return (this.writing = this.writing.then(() => this.writeBatch()));
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.flush();
  }

  private async writeBatch(): Promise<void> {
    const batch = this.waiting;
    this.waiting = new Map();
    try {
      for (const [entity, { property, ids }] of batch)
        for (const some of chunks([...ids].sort()))
          await this.dataSource.manager.update(entity, { id: In(some) }, { [property]: new Date() });
    } catch (error) {
      this.logger.error(error);
    }
  }
}

const chunks = (ids: readonly string[]) =>
  Array.from({ length: Math.ceil(ids.length / MOST) }, (_, i) => ids.slice(i * MOST, (i + 1) * MOST));
