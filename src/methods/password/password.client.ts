import type { Login } from './password.js';

/** The sign-in request: `fetch(loginRequest('https://api.example', { username, password, as: 'session' }))`. */
export const loginRequest = (origin: string, login: Login): Request =>
  new Request(new URL('/auth/login', origin), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(login),
  });
