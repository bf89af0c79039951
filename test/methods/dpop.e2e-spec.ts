import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './dpop.contract.js';

satisfiesTheContract(contract);
