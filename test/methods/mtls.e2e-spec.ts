import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './mtls.contract.js';

satisfiesTheContract(contract);
