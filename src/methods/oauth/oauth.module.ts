import { Module } from '@nestjs/common';
import { ServerModule } from './server/index.js';

@Module({ imports: [ServerModule] })
export class OauthModule {}
