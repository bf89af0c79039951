declare module '../../authentication/principal.js' {
  interface AuthMethods {
    password: true;
  }
}

export const name = 'password';
export { PasswordModule as module } from './password.module.js';
