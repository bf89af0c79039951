import { AsyncLocalStorage } from 'node:async_hooks';
import type { AccessToken } from '../../access-tokens/access-token.entity.js';
import type { Actor } from '../../authentication/principal.js';

/** The token that another is exchanged for, and who will act with it, while that other is made: the engine carries neither. */
export const exchangedFor = new AsyncLocalStorage<{ readonly token: AccessToken; readonly act: Actor }>();
