import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './hmac.contract.js';

satisfiesTheContract(contract);
