import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './http-signature.contract.js';

satisfiesTheContract(contract);
