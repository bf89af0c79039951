import { BackchannelDecisions } from './backchannel-decisions.js';
import { BackchannelController } from './backchannel.controller.js';
import { BackchannelRequests } from './backchannel-requests.js';
import { CodeGuesses } from './code-guesses.js';
import { Grants } from './grants.js';
import { JwtBearer } from './jwt-bearer.js';
import { TokenExchange } from './token-exchange.js';

export const grantProviders = [
  BackchannelDecisions,
  BackchannelRequests,
  CodeGuesses,
  Grants,
  JwtBearer,
  TokenExchange,
];
export const grantControllers = [BackchannelController];
