import { errors, type Account, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import type { BackchannelRequests } from './grants/backchannel-requests.js';

/** Seconds in which a request must be decided; a client may ask for less. */
const LIFETIME = 300;
/** What stands on both devices, so that a person knows which request is meant: letters, digits and plain signs. */
const BINDING_MESSAGE = /^[\p{L}\p{N}][\p{L}\p{N} .,:;#_+/!?€$-]{0,63}$/u;

export const backchannelLifetime = ({ oidc }: KoaContextWithOIDC): number =>
  Math.min(LIFETIME, Number(oidc.params?.['requested_expiry'] ?? LIFETIME));

/**
 * Client-initiated backchannel authentication, with polling: the application names a person, who decides on another device.
 * Here that is a route of this API, `GET /backchannel-requests`; a product would send a notification.
 */
export const ciba = (requests: BackchannelRequests) =>
  ({
    ciba: {
      enabled: true,
      deliveryModes: ['poll'],
      processLoginHint: (ctx: KoaContextWithOIDC, hint: string | undefined) =>
        requests.accountFor(ctx.oidc.client!.clientId, hint ?? ''),
      processLoginHintToken: () => {
        throw new errors.InvalidRequest('login_hint_token is not taken here');
      },
      async verifyUserCode(_ctx: KoaContextWithOIDC, { accountId }: Account, userCode: string | undefined) {
        if (userCode !== undefined) throw new errors.InvalidRequest('user_code is not taken here');
        await requests.refuseFlood(accountId);
      },
      validateBindingMessage(_ctx: KoaContextWithOIDC, message: string | undefined) {
        if (!BINDING_MESSAGE.test(message ?? ''))
          throw new errors.InvalidBindingMessage(
            'binding_message is required: 1 to 64 letters, digits, spaces and plain signs',
          );
      },
      validateRequestContext(_ctx: KoaContextWithOIDC, context: string | undefined) {
        if (context !== undefined) throw new errors.InvalidRequest('request_context is not taken here');
      },
      triggerAuthenticationDevice() {},
    },
  }) satisfies Configuration['features'];
