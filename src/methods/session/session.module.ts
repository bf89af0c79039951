import { Module } from '@nestjs/common';
import { SessionController } from './session.controller.js';
import { SessionCsrf } from './session.csrf.js';
import { SessionService } from './session.service.js';
import { SessionStrategy } from './session.strategy.js';

@Module({
  controllers: [SessionController],
  providers: [SessionStrategy, SessionService, SessionCsrf],
})
export class SessionModule {}
