import { Module } from '@nestjs/common';
import { PasswordsModule } from '../../passwords/passwords.module.js';
import { BasicController } from './basic.controller.js';
import { BasicStrategy } from './basic.strategy.js';

@Module({
  imports: [PasswordsModule],
  controllers: [BasicController],
  providers: [BasicStrategy],
})
export class BasicModule {}
