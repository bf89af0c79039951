import { Module } from '@nestjs/common';
import { AccountPagesController } from './account-pages.controller.js';
import { SignInPagesController } from './sign-in-pages.controller.js';

/** The pages on which people sign in and manage their factors. */
@Module({ controllers: [SignInPagesController, AccountPagesController] })
export class AccountPagesModule {}
