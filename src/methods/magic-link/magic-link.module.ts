import { Module } from '@nestjs/common';
import { MagicLinkController, MagicLinkPagesController } from './magic-link.controller.js';
import { MagicLinkFactor } from './magic-link.factor.js';
import { MagicLinkLimits } from './magic-link.limits.service.js';
import { PendingSignIns } from './magic-link.pending-sign-ins.service.js';
import { MagicLinkPageController } from './magic-link.page.controller.js';
import { MagicLinkService } from './magic-link.service.js';

@Module({
  controllers: [MagicLinkController, MagicLinkPagesController, MagicLinkPageController],
  providers: [MagicLinkService, MagicLinkFactor, MagicLinkLimits, PendingSignIns],
})
export class MagicLinkModule {}
