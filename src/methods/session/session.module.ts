import { Module } from '@nestjs/common';
import { SessionController } from './session.controller.js';
import { SessionCsrf } from './session.csrf.js';
import { SessionIssuer } from './session.issuer.js';
import { SessionStrategy } from './session.strategy.js';
import { SessionSweep } from './session.cleanup.js';
import { Sessions } from './session.service.js';

@Module({
  controllers: [SessionController],
  providers: [SessionStrategy, SessionIssuer, Sessions, SessionCsrf, SessionSweep],
})
export class SessionModule {}
