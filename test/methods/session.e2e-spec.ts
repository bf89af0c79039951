import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './session.contract.js';

satisfiesTheContract(contract);
