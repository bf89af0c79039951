import { Injectable, Logger, type BeforeApplicationShutdown, type Type } from '@nestjs/common';
import { DataSource, In } from 'typeorm';

const RESOLUTION_MS = 60_000;
const BATCH_INTERVAL_MS = 1_000;
/** Databases limit the parameters of a statement. */
const MAX_IDS_PER_STATEMENT = 1_000;

/** The rows of an entity that wait to be updated. */
interface PendingRows {
  readonly property: string;
  readonly ids: Set<string>;
}

/**
 * Stores when credentials were last used, to the minute. It writes in batches, so that no request waits for it.
 */
@Injectable()
export class LastUsed implements BeforeApplicationShutdown {
  private readonly logger = new Logger(LastUsed.name);
  private waiting = new Map<Type, PendingRows>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Stores the current time, unless less than a minute has passed.
   * @param property the date column
   * @param last its current value
   */
  touch(entity: Type, property: string, id: string, last: Date | null): void {
    if (last && Date.now() - last.getTime() < RESOLUTION_MS) return;
    let table = this.waiting.get(entity);
    if (!table) this.waiting.set(entity, (table = { property, ids: new Set() }));
    table.ids.add(id);
    this.timer ??= setTimeout(() => void this.flush(), BATCH_INTERVAL_MS).unref();
  }

  /** Writes the batch. Updates that fail are dropped: the next use of the credential tries again. */
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
  Array.from({ length: Math.ceil(ids.length / MAX_IDS_PER_STATEMENT) }, (_, i) =>
    ids.slice(i * MAX_IDS_PER_STATEMENT, (i + 1) * MAX_IDS_PER_STATEMENT),
  );
