import { Injectable } from '@nestjs/common';
import type { Provider } from 'oidc-provider';
import { BackchannelRequests } from './backchannel-requests.js';
import { BEARER_PARAMETERS, JWT_BEARER, JwtBearer, type BearerParameters } from './jwt-bearer.js';
import {
  EXCHANGE_PARAMETERS,
  TOKEN_EXCHANGE,
  TokenExchange,
  type ExchangeParameters,
} from './token-exchange.js';

/** The grants that the engine leaves to others. */
@Injectable()
export class Grants {
  constructor(
    private readonly exchange: TokenExchange,
    private readonly bearer: JwtBearer,
    readonly backchannel: BackchannelRequests,
  ) {}

  addTo(provider: Provider): void {
    provider.registerGrantType<ExchangeParameters>(
      TOKEN_EXCHANGE,
      (ctx) => this.exchange.answer(ctx),
      EXCHANGE_PARAMETERS,
      ['audience', 'resource'],
    );
    provider.registerGrantType<BearerParameters>(
      JWT_BEARER,
      (ctx) => this.bearer.answer(ctx),
      BEARER_PARAMETERS,
      'resource',
    );
  }
}
