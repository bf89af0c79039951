import type {
  AuthorizationDetail,
  AuthorizationDetailsForIntrospection,
  Client,
  KoaContextWithOIDC,
  RichAuthorizationRequestsActiveConfiguration,
} from 'oidc-provider';
import type { AuthorizationDetail as GrantedDetail } from '../../authentication/principal.js';
import { SCOPE_OF_ACTION, authorizationDetailSchema, isScope } from '../../permissions.js';
import { errors } from '../provider/oidc-provider.js';

const MAX_AUTHORIZATION_DETAILS_LENGTH = 4_096;

const requestedDocument = authorizationDetailSchema.refine(
  ({ actions }) => new Set(actions).size === actions.length,
  'must name each action once',
);

/**
 * Rich authorization requests (RFC 9396): access to single documents instead of scopes for all of them,
 * `[{ "type": "document", "identifier": "<id>", "actions": ["read"] }]`.
 */
export const richAuthorizationRequests = {
  enabled: true,
  types: { document: { validate } },
  authorizationDetailsForGrantSource: ({ oidc }) =>
    requestedDetails(oidc.params)?.filter((detail) => isGranted(oidc.entities.Grant?.rar, detail)),
  authorizationDetailsForAccessToken({ oidc }, _token, source) {
    const requested = requestedDetails(oidc.params);
    const granted = source && 'rar' in source ? source.rar : undefined;
    if (!source) return requested;
    if (!requested) return granted;
    if (requested.every((detail) => isGranted(granted, detail))) return requested;
    throw new errors.InvalidAuthorizationDetails('the authorization details exceed the granted ones');
  },
  authorizationDetailsForIntrospection: (_ctx, token) => token.rar,
} satisfies Required<RichAuthorizationRequestsActiveConfiguration> & {
  authorizationDetailsForIntrospection: AuthorizationDetailsForIntrospection;
};

/** @throws InvalidAuthorizationDetails */
function validate({ oidc }: KoaContextWithOIDC, detail: AuthorizationDetail, client: Client): void {
  const invalid = (reason: string) => new errors.InvalidAuthorizationDetails(reason);
  const { authorization_details: text, scope = '' } = oidc.params as Record<string, string | undefined>;
  if (text!.length > MAX_AUTHORIZATION_DETAILS_LENGTH)
    throw invalid(`authorization_details may have at most ${MAX_AUTHORIZATION_DETAILS_LENGTH} characters`);
  const parsed = requestedDocument.safeParse(detail);
  if (!parsed.success)
    throw invalid(
      'a document has exactly these members: type, identifier, actions (of read, update, delete)',
    );
  if (oidc.route === 'backchannel_authentication')
    throw invalid('authorization_details are not supported in backchannel authentication requests');
  // A grant stores scopes and details separately: the scope would remain after the details were removed.
  if (scope.split(' ').some(isScope))
    throw invalid('request either scopes of the API or authorization_details, not both');
  const { resource_scopes } = client;
  const allowed = typeof resource_scopes === 'string' ? resource_scopes.split(' ') : [];
  const denied = parsed.data.actions.find((action) => !allowed.includes(SCOPE_OF_ACTION[action]));
  if (denied) throw invalid(`this client may not request the action ${denied}`);
}

function requestedDetails(
  params: Readonly<Record<string, unknown>> | undefined,
): AuthorizationDetail[] | undefined {
  const text = params?.['authorization_details'];
  return typeof text === 'string' ? (JSON.parse(text) as AuthorizationDetail[]) : undefined;
}

/** Whether one granted detail covers all actions of a requested one. */
const isGranted = (granted: unknown, requested: AuthorizationDetail): boolean =>
  Array.isArray(granted) &&
  (granted as GrantedDetail[]).some(
    ({ type, identifier, actions }) =>
      requested.type === type &&
      requested['identifier'] === identifier &&
      (requested['actions'] as GrantedDetail['actions']).every((action) => actions.includes(action)),
  );
