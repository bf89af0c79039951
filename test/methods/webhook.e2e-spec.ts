import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './webhook.contract.js';

satisfiesTheContract(contract);
