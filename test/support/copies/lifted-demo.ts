import { Global, Injectable, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { DemoPort } from '../../../src/authentication/ports.js';
import { UsersDemo } from '../../../src/users/users.demo.js';

/** Creates the demo in a copied application, which has none of its own. */
@Injectable()
export class LiftedDemo implements DemoPort {
  /** SQLite has one connection, so the parts are created one after another. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly dataSource: DataSource) {}

  async once<T extends object>(_: string, create: (manager: T) => Promise<void | false>): Promise<boolean> {
    const run = () => this.dataSource.transaction((manager) => create(manager as object as T));
    await (this.last = this.last.then(run));
    return true;
  }
}

@Global()
@Module({ providers: [LiftedDemo, UsersDemo], exports: [LiftedDemo] })
export class LiftedDemoModule {}
