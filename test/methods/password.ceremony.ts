import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { loginRequest } from '../../src/methods/password/password.client.js';
import type { Ceremony } from '../support/contracts.js';

export const ceremony: Ceremony = ({ origin }, userId, issuer) =>
  fetch(loginRequest(origin, { username: userId, password: DEMO_PASSWORD, as: issuer }));
