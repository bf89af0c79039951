import { Global, Module } from '@nestjs/common';
import { ConfigModule as NestConfigModule, registerAs } from '@nestjs/config';
import { Settings } from './settings.js';

export const applicationConfig = registerAs('application', () => Settings.from(process.env));

/** Provides {@link Settings}. The settings of a method are a `registerAs` namespace in its own `x.config.ts`. */
@Global()
@Module({
  imports: [NestConfigModule.forRoot({ ignoreEnvFile: true, load: [applicationConfig] })],
  providers: [{ provide: Settings, useExisting: applicationConfig.KEY }],
  exports: [Settings],
})
export class ConfigModule {}
