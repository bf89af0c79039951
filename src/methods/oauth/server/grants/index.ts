import { CodeGuesses } from './code-guesses.js';
import { Grants } from './grants.js';
import { JwtBearer } from './jwt-bearer.js';
import { TokenExchange } from './token-exchange.js';

export const grantProviders = [CodeGuesses, Grants, JwtBearer, TokenExchange];
export const grantControllers = [];
