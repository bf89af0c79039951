import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { JwtModule as NestJwtModule } from '@nestjs/jwt';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { secretBoxFor } from '../../crypto/secret-box.js';
import { JwtController, JwtPublicController } from './jwt.controller.js';
import { JwtKeys } from './jwt.keys.js';
import { JwtService } from './jwt.service.js';
import { JwtStrategy } from './jwt.strategy.js';
import { jwtConfig } from './jwt.config.js';

@Module({
  imports: [ConfigModule.forFeature(jwtConfig), CryptoModule, NestJwtModule.register({})],
  controllers: [JwtController, JwtPublicController],
  providers: [JwtKeys, JwtStrategy, JwtService, secretBoxFor('refresh tokens')],
})
export class JwtModule {}
