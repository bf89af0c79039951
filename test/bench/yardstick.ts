import { Controller, Get, Injectable, Module, Request, UseGuards } from '@nestjs/common';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { Public } from '../../src/authentication/plan.js';

const secret = 'a secret as long as the one that the documentation would have you use';

/** A JWT route as Nest's documentation writes it (Recipes, Passport): a string for a secret, and nothing looked up. */
@Injectable()
class DocsStrategy extends PassportStrategy(Strategy, 'nest-docs') {
  constructor() {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      ignoreExpiration: false,
      secretOrKey: secret,
    });
  }

  validate(payload: { sub: string; username: string }) {
    return { userId: payload.sub, username: payload.username };
  }
}

@Controller('yardstick')
@Public()
class YardstickController {
  @Get()
  @UseGuards(AuthGuard('nest-docs'))
  show(@Request() request: { user: object }) {
    return request.user;
  }
}

@Module({
  imports: [PassportModule, JwtModule.register({ secret, signOptions: { expiresIn: '1h' } })],
  controllers: [YardstickController],
  providers: [DocsStrategy],
})
export class Yardstick {
  constructor(private readonly jwt: JwtService) {}

  token(): string {
    return this.jwt.sign({ sub: 'bob', username: 'bob' });
  }
}
