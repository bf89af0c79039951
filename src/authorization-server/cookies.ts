import type { Configuration } from 'oidc-provider';
import type { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';

/**
 * The cookies of the pages, all signed. Over HTTPS their names have the prefixes that keep a neighbouring domain and plain
 * HTTP from putting one in their place (RFC 6265bis, section 4.1.3); those of an interaction are for its own path alone,
 * which `__Host-` does not allow.
 */
export function cookies(settings: Settings): Configuration['cookies'] {
  const https = settings.publicUrl.startsWith('https:');
  const named = (prefix: string, name: string) => (https ? `${prefix}${name}` : `${name}-dev`);
  const rules = { signed: true, httpOnly: true, sameSite: 'lax', secure: https } as const;
  return {
    names: {
      session: named('__Host-', 'oauth-session'),
      interaction: named('__Secure-', 'oauth-interaction'),
      resume: named('__Secure-', 'oauth-resume'),
    },
    // New ones are signed with the first; what the one before has signed is still good.
    keys: new DerivedKeys(settings, 'oauth cookies').all.map((key) => key.export().toString('base64url')),
    long: rules,
    short: rules,
  };
}
