import { Global, Module } from '@nestjs/common';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import { LogoutController } from './logout.controller.js';

/** For applications in which people sign in: the issuers, and the route that ends a session or a token. */
@Global()
@Module({ controllers: [LogoutController], providers: [IssuerRegistry], exports: [IssuerRegistry] })
export class SignInModule {}
