import { Controller, Get, Injectable, Module, Request, UseGuards } from '@nestjs/common';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Strategy } from 'passport-custom';
import { startNest } from './contestant.js';

const key = randomBytes(32).toString('base64url');
/** In memory: the recipe leaves the storage to its user. */
const users = new Map([[key, { userId: 'bob', username: 'bob' }]]);

/** The steps of passport-headerapikey with `{ header: 'X-API-Key', prefix: '' }`, on a package that is installed already. */
@Injectable()
class HeaderApiKeyStrategy extends PassportStrategy(Strategy, 'headerapikey') {
  validate(request: IncomingMessage) {
    const apiKey = request.headers['x-api-key'];
    return (typeof apiKey === 'string' && users.get(apiKey)) || false;
  }
}

@Controller()
class ProfileController {
  @UseGuards(AuthGuard('headerapikey'))
  @Get()
  show(@Request() request: { user: object }) {
    return request.user;
  }
}

@Module({ imports: [PassportModule], controllers: [ProfileController], providers: [HeaderApiKeyStrategy] })
class RecipeModule {}

await startNest(RecipeModule, { 'X-API-Key': key });
