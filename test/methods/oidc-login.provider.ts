import { generateKeyPair, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { Provider, type Adapter, type AdapterPayload, type ClientMetadata } from 'oidc-provider';
import { Browser } from './oidc-login.browser.js';

/** An in-memory storage of `oidc-provider`. */
class InMemory implements Adapter {
  constructor(private readonly rows = new Map<string, AdapterPayload>()) {}

  upsert = async (id: string, payload: AdapterPayload) => void this.rows.set(id, payload);
  find = async (id: string) => this.rows.get(id);
  findByUid = async (uid: string) => [...this.rows.values()].find((row) => row.uid === uid);
  findByUserCode = async () => undefined;
  consume = async (id: string) => void (this.rows.get(id)!.consumed = Math.floor(Date.now() / 1000));
  destroy = async (id: string) => void this.rows.delete(id);
  revokeByGrantId = async (grantId: string) => {
    for (const [id, row] of this.rows) if (row.grantId === grantId) this.rows.delete(id);
  };
}

/** An independent provider: `oidc-provider` on its own port. */
export interface TestProvider {
  readonly issuer: string;
  /** The user who signs in and consents to everything. */
  user: string;
  close(): Promise<void>;
}

/** @param client metadata of the registered client `atlas` */
export async function startProvider(
  redirectUri: (issuer: string) => string,
  client: Partial<ClientMetadata> = {},
): Promise<TestProvider> {
  const server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const registered = {
    client_id: 'atlas',
    client_secret: 'secret',
    redirect_uris: [redirectUri(issuer)],
    ...client,
  };
  const stores = new Map<string, Adapter>([
    ['Client', new InMemory(new Map([['atlas', registered as AdapterPayload]]))],
  ]);
  const storeOf = (kind: string) => {
    if (!stores.has(kind)) stores.set(kind, new InMemory());
    return stores.get(kind)!;
  };
  const oidcProvider = new Provider(issuer, {
    adapter: storeOf,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256' }] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    renderError: (context, out) => void (context.body = out),
    ttl: { Session: 600, Interaction: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
  });
  const provider: TestProvider = {
    issuer,
    user: 'bob',
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };

  const handleRequest = oidcProvider.callback();
  const interact = async (request: IncomingMessage, response: ServerResponse) => {
    const { prompt, params } = await oidcProvider.interactionDetails(request, response);
    const { user: accountId } = provider;
    if (prompt.name === 'login') {
      await oidcProvider.interactionFinished(request, response, { login: { accountId } });
      return;
    }
    const grant = new oidcProvider.Grant({ accountId, clientId: String(params['client_id']) });
    grant.addOIDCScope('openid');
    const consent = { grantId: await grant.save() };
    await oidcProvider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  };
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/')) void interact(request, response);
    else void handleRequest(request, response);
  });
  return provider;
}

/** Signs in on the provider's pages. @returns the callback URL, which is not requested */
export async function signInAtProvider(start: string | URL): Promise<URL> {
  return new Browser().followTo(start, (url) => url.pathname.endsWith('/callback'));
}
