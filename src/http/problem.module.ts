import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { AllowedMethodsService } from './allowed-methods.service.js';
import { ProblemFilter } from './problem.filter.js';

/** The responses to exceptions. Filters of single controllers use them, too. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [AllowedMethodsService, ProblemFilter],
  exports: [AllowedMethodsService, ProblemFilter],
})
export class ProblemModule {}
