declare module '../../authentication/principal.js' {
  interface AuthMethods {
    password: true;
  }
}

export const name = 'password';
export { PasswordFactor as factor } from './password.factor.js';
export { PasswordModule as module } from './password.module.js';
