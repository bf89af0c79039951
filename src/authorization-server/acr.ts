import { errors, interactionPolicy, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { SECOND_FACTOR } from '../authentication/principal.js';

/** What a password proves: the `acr` of a sign-in at our pages. */
export const PASSWORD_ACR = 'pwd';

const REACHABLE: readonly unknown[] = [PASSWORD_ACR];
/** An API may ask for a second factor (RFC 9470), which these pages do not have. */
const KNOWN: readonly unknown[] = [PASSWORD_ACR, SECOND_FACTOR];

/**
 * What no sign-in here can give is said at once, in the words of RFC 9470, section 5; the engine would ask for the password
 * again and again. `acr_values` is a wish (OpenID Connect Core, section 3.1.2.1): names that nobody knows are passed over.
 */
function refuseUnreachable({ oidc }: KoaContextWithOIDC): false {
  const { acr_values } = oidc.params ?? {};
  const wished =
    typeof acr_values === 'string' ? acr_values.split(' ').filter((each) => KNOWN.includes(each)) : [];
  const { essential, value, values } = oidc.claims.id_token?.acr ?? {};
  const demanded: unknown[] = essential ? [value ?? values ?? []].flat() : [];
  for (const each of [wished, demanded])
    if (each.length && !each.some((acr) => REACHABLE.includes(acr)))
      throw new errors.UnmetAuthenticationRequirements('no sign-in here reaches what was asked for');
  return false;
}

function policy() {
  const prompts = interactionPolicy.base();
  prompts
    .get('login')!
    .checks.add(new interactionPolicy.Check('acr', 'how to sign in was asked for', refuseUnreachable), 0);
  return prompts;
}

export const signingIn = {
  acrValues: [PASSWORD_ACR],
  interactions: { url: (_ctx, { uid }) => `/interaction/${uid}`, policy: policy() },
} satisfies Configuration;
