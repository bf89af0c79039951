import { Module } from '@nestjs/common';
import { JwtModule as NestJwtModule } from '@nestjs/jwt';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { JwtController, JwtPublicController } from './jwt.controller.js';
import { JwtIssuer } from './jwt.service.js';
import { JwtKeys } from './jwt.keys.js';
import { JwtStrategy } from './jwt.strategy.js';
import { JwtSweep } from './jwt.cleanup.js';

@Module({
  imports: [CryptoModule, NestJwtModule.register({})],
  controllers: [JwtController, JwtPublicController],
  providers: [JwtKeys, JwtStrategy, JwtIssuer, JwtSweep],
})
export class JwtModule {}
