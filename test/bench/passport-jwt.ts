import { Controller, Get, Injectable, Module, Request, UseGuards } from '@nestjs/common';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { Public } from '../../src/authentication/plan.js';

const secret = 'a secret of the length that the documentation recommends, and more';

/** The baseline: a JWT route as in Nest's documentation (Recipes, Passport), with a string as the secret and no look-up. */
@Injectable()
class PassportJwtStrategy extends PassportStrategy(Strategy, 'nest-docs') {
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

@Controller('passport-jwt')
@Public()
class PassportJwtController {
  @Get()
  @UseGuards(AuthGuard('nest-docs'))
  show(@Request() request: { user: object }) {
    return request.user;
  }
}

@Module({
  imports: [PassportModule, JwtModule.register({ secret, signOptions: { expiresIn: '1h' } })],
  controllers: [PassportJwtController],
  providers: [PassportJwtStrategy],
})
export class PassportJwtModule {
  constructor(private readonly jwt: JwtService) {}

  token(): string {
    return this.jwt.sign({ sub: 'bob', username: 'bob' });
  }
}
