import { Module } from '@nestjs/common';
import type { Schema } from '../database/columns.js';
import { UsedOnce1700000303000 } from './replay-store.migration.js';
import { ReplayStore, UsedValue } from './replay-store.service.js';

export const replayStoreSchema: Schema = { entities: [UsedValue], migrations: [UsedOnce1700000303000] };

/** The replay store without the signing keys, for methods that need only this one. */
@Module({ providers: [ReplayStore], exports: [ReplayStore] })
export class ReplayStoreModule {}
