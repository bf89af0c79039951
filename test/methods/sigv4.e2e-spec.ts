import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './sigv4.contract.js';

satisfiesTheContract(contract);
