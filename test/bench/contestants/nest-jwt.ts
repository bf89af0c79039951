import { Controller, Get, Injectable, Module, Request, UseGuards } from '@nestjs/common';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { startNest } from './contestant.js';

/** The JWT route of Nest's documentation (Recipes, Passport): a string as the secret, and no look-up. */
const secret = 'a secret of the length that the documentation recommends, and more';

@Injectable()
class JwtStrategy extends PassportStrategy(Strategy) {
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

@Controller()
class ProfileController {
  @UseGuards(AuthGuard('jwt'))
  @Get()
  show(@Request() request: { user: object }) {
    return request.user;
  }
}

@Module({
  imports: [PassportModule, JwtModule.register({ secret, signOptions: { expiresIn: '1h' } })],
  controllers: [ProfileController],
  providers: [JwtStrategy],
})
class RecipeModule {}

const token = new JwtService({ secret, signOptions: { expiresIn: '1h' } }).sign({
  sub: 'bob',
  username: 'bob',
});
await startNest(RecipeModule, { Authorization: `Bearer ${token}` });
