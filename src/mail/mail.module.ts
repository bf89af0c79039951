import { Module, type DynamicModule } from '@nestjs/common';
import type { Settings } from '../config/settings.js';
import { readMailConfig } from './mail.config.js';
import { MailService } from './mail.service.js';
import { MailboxController } from './mailbox.controller.js';
import { Mailbox } from './mailbox.service.js';
import { SmtpTransport } from './smtp.transport.js';

@Module({})
export class MailModule {
  /** @throws InvalidSettings */
  static forRoot(settings: Settings): DynamicModule {
    const config = readMailConfig(settings);
    return {
      module: MailModule,
      global: true,
      controllers: config.transport === 'mailbox' ? [MailboxController] : [],
      providers: [
        Mailbox,
        {
          provide: MailService,
          inject: [Mailbox],
          useFactory: (mailbox: Mailbox) => {
            if (config.transport === 'smtp') return new MailService(new SmtpTransport(config.smtp));
            return new MailService(config.transport === 'mailbox' ? mailbox : undefined);
          },
        },
      ],
      exports: [MailService],
    };
  }
}
