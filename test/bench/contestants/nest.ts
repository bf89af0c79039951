import { Controller, Get, Module } from '@nestjs/common';
import { PRINCIPAL } from '../principal.js';
import { startNest } from './contestant.js';

/** Nest with one route and nothing else. */
@Controller()
class BareController {
  @Get()
  show() {
    return PRINCIPAL;
  }
}

@Module({ controllers: [BareController] })
class BareModule {}

await startNest(BareModule);
