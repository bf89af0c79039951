import type { EntityManager } from 'typeorm';

/** The password of the demo's users. It is published. */
export const DEMO_PASSWORD = 'correct-horse-battery-staple';

/** Creates the demo's rows. An application without a provider of this class has no demo: inject it as `@Optional()`. */
export abstract class DemoData {
  /** Runs `create` in a transaction, once in the life of a database: deleted rows stay deleted. */
  abstract once(part: string, create: (manager: EntityManager) => Promise<void>): Promise<void>;
}
