import {
  errors,
  type AuthorizationDetail,
  type AuthorizationDetailsForIntrospection,
  type Client,
  type KoaContextWithOIDC,
  type RichAuthorizationRequestsActiveConfiguration,
} from 'oidc-provider';
import type { AuthorizationDetail as GrantedDetail } from '../authentication/principal.js';
import { SCOPE_OF_ACTION, authorizationDetailSchema, isScope } from '../permissions.js';

const LONGEST = 4_096;

/** Whoever asks names each action once. */
const document = authorizationDetailSchema.refine(({ actions }) => new Set(actions).size === actions.length);

/**
 * Rich authorization requests (RFC 9396): access to single documents,
 * `[{ "type": "document", "identifier": "<id>", "actions": ["read"] }]`, in place of scopes that reach all of them.
 */
export const richAuthorizationRequests = {
  enabled: true,
  types: { document: { validate } },
  authorizationDetailsForGrantSource: ({ oidc }) =>
    askedIn(oidc.params)?.filter((each) => isWithin(oidc.entities.Grant?.rar, each)),
  authorizationDetailsForAccessToken({ oidc }, _token, source) {
    const asked = askedIn(oidc.params);
    const held = source && 'rar' in source ? source.rar : undefined;
    if (!source || !asked) return source ? held : asked;
    if (asked.every((each) => isWithin(held, each))) return asked;
    throw new errors.InvalidAuthorizationDetails('more than was allowed');
  },
  authorizationDetailsForIntrospection: (_ctx, token) => token.rar,
} satisfies Required<RichAuthorizationRequestsActiveConfiguration> & {
  authorizationDetailsForIntrospection: AuthorizationDetailsForIntrospection;
};

/** @throws InvalidAuthorizationDetails */
function validate({ oidc }: KoaContextWithOIDC, detail: AuthorizationDetail, client: Client): void {
  const refuse = (reason: string) => new errors.InvalidAuthorizationDetails(reason);
  const { authorization_details: text, scope = '' } = oidc.params as Record<string, string | undefined>;
  if (text!.length > LONGEST) throw refuse(`at most ${LONGEST} characters`);
  const read = document.safeParse(detail);
  if (!read.success)
    throw refuse('a document has identifier and actions, of read, update and delete, and nothing else');
  if (oidc.route === 'backchannel_authentication') throw refuse('not for requests behind the scenes');
  // A consent keeps scopes and details apart: together, the scope would stay when the details are gone.
  if (scope.split(' ').some(isScope))
    throw refuse('ask for scopes of the API or for single documents, not for both at once');
  const { resource_scopes } = client;
  const allowed = typeof resource_scopes === 'string' ? resource_scopes.split(' ') : [];
  const beyond = read.data.actions.find((action) => !allowed.includes(SCOPE_OF_ACTION[action]));
  if (beyond) throw refuse(`this client may not ask for ${beyond}`);
}

function askedIn(params: Readonly<Record<string, unknown>> | undefined): AuthorizationDetail[] | undefined {
  const text = params?.['authorization_details'];
  return typeof text === 'string' ? (JSON.parse(text) as AuthorizationDetail[]) : undefined;
}

/** Whether a detail reaches no more than one of those that are held. */
const isWithin = (held: unknown, asked: AuthorizationDetail): boolean =>
  Array.isArray(held) &&
  (held as GrantedDetail[]).some(
    ({ type, identifier, actions }) =>
      asked.type === type &&
      asked['identifier'] === identifier &&
      (asked['actions'] as GrantedDetail['actions']).every((action) => actions.includes(action)),
  );
