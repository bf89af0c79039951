import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './oauth.contract.js';

satisfiesTheContract(contract);
