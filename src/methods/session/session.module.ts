import { Module } from '@nestjs/common';
import { SessionController } from './session.controller.js';
import { Csrf } from './session.csrf.js';
import { SessionIssuer } from './session.issuer.js';
import { SessionStrategy } from './session.strategy.js';
import { SessionSweep } from './session.sweep.js';
import { Sessions } from './sessions.js';

@Module({
  controllers: [SessionController],
  providers: [SessionStrategy, SessionIssuer, Sessions, Csrf, SessionSweep],
})
export class SessionModule {}
