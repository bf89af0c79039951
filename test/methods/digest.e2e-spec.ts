import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './digest.contract.js';

satisfiesTheContract(contract);
