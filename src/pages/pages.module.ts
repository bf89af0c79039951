import { Global, Module } from '@nestjs/common';
import { ProblemModule } from '../http/problem.module.js';
import { AccountParts } from './account-parts.service.js';
import { PagesController } from './pages.controller.js';

/** The template set of all pages. */
@Global()
@Module({
  imports: [ProblemModule],
  controllers: [PagesController],
  providers: [AccountParts],
  exports: [AccountParts],
})
export class PagesModule {}
