import { All, Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { CurrentRequest, Public, Consumes } from '../authentication/plan.js';
import {
  rawExchange,
  type AdapterRequest,
  type AdapterResponse,
  type AuthRequest,
} from '../authentication/request.js';
import { Engine } from './engine.js';

/** Everything below `/oidc` is the engine's to answer, and so are the documents that are looked for beside it. */
@Controller()
@Public()
@ApiExcludeController()
export class EngineController {
  constructor(private readonly engine: Engine) {}

  @All(['oidc/:a', 'oidc/:a/:b', 'oidc/:a/:b/:c'])
  @Consumes('form', 'json')
  answer(
    @Req() request: AdapterRequest,
    @Res() response: AdapterResponse,
    @CurrentRequest() incoming: AuthRequest,
  ): Promise<void> {
    return this.handOver(request, response, incoming, incoming.target.slice('/oidc'.length));
  }

  /** RFC 8414, section 3.1: the well-known part stands before the issuer's path. */
  @Get('.well-known/oauth-authorization-server/oidc')
  metadata(
    @Req() request: AdapterRequest,
    @Res() response: AdapterResponse,
    @CurrentRequest() incoming: AuthRequest,
  ): Promise<void> {
    return this.handOver(request, response, incoming, '/.well-known/oauth-authorization-server');
  }

  private async handOver(
    request: AdapterRequest,
    response: AdapterResponse,
    incoming: AuthRequest,
    path: string,
  ): Promise<void> {
    const answer = await this.engine.answerTo(incoming, path);
    // From here on nobody else answers, not even where something fails.
    const taken = rawExchange(request, response);
    await answer(taken.request, taken.response);
  }
}
