import { Module } from '@nestjs/common';
import { ReplayStore } from './replay-store.service.js';

/** The replay store without the signing keys, for methods that need only this one. */
@Module({ providers: [ReplayStore], exports: [ReplayStore] })
export class ReplayStoreModule {}
