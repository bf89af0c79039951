import { Injectable } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Client, ClientMetadata, JWK, JWKS, KoaContextWithOIDC, Provider } from 'oidc-provider';
// @ts-expect-error -- it has no types
import instanceOf from 'oidc-provider/lib/helpers/weak_cache.js';
import { ClientCertificateEndpoint } from '../../authentication/client-certificate.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import type { SigningAlgorithm } from '../../crypto/signing-key.entity.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { readBrowserSecret } from './http-security.js';
import { POSTED_PATHS, presentedJwt, providerRequest, withRequestState } from './provider-request.js';

const KEY_CHECK_INTERVAL_MS = 1_000;
const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'];

/** Creates the `Provider`. `OidcProviderFactory` implements it at the top of this folder, because it uses every part. */
export abstract class ProviderFactory {
  abstract create(issuer: string, jwks: JWKS): Promise<Provider>;
}

/** oidc-provider's router, which is private. It ignores case and a trailing slash. */
interface Router {
  match(method: string, path: string): { readonly route: { readonly path: string } } | undefined;
}

/** oidc-provider's model of a client, with the members that its types leave out. */
export interface ClientModel {
  /** @throws InvalidClientMetadata */
  new (metadata: object, ctx?: KoaContextWithOIDC): Client & { metadata(): ClientMetadata };
  needsSecret(metadata: object): boolean;
}

interface ProviderInstance {
  readonly kids: string;
  readonly provider: Provider;
  readonly callback: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** The `Provider` of the library oidc-provider, with the current signing keys. It keeps no state in memory. */
@Injectable()
export class OidcProviderService {
  private instance: Promise<ProviderInstance> | undefined;
  private checkedAt = 0;

  constructor(
    private readonly settings: Settings,
    private readonly keys: SigningKeys,
    private readonly factory: ProviderFactory,
    private readonly certificates: ClientCertificateEndpoint,
  ) {}

  get issuer(): string {
    return `${this.settings.publicUrl}/oidc`;
  }

  async provider(): Promise<Provider> {
    return (await this.current()).provider;
  }

  async clientModel(): Promise<ClientModel> {
    return (await this.provider()).Client as unknown as ClientModel;
  }

  /** @returns the methods of a path below `/oidc`, in the exact spelling of its route; none for an unknown path */
  async methodsOf(path: string): Promise<string[]> {
    const { router } = (instanceOf as (provider: Provider) => { router: Router })(await this.provider());
    const segments = path.split('/');
    const isSpelled = (route: readonly string[]) =>
      route.length === segments.length &&
      route.every((segment, i) => segment.startsWith(':') || segment === segments[i]);
    return METHODS.filter(
      (method) =>
        (method === 'POST' && POSTED_PATHS.includes(path)) ||
        isSpelled(router.match(method, path)?.route.path.split('/') ?? []),
    );
  }

  /**
   * Prepares a request for oidc-provider.
   * @param path below `/oidc`, with the query
   * @returns writes the response
   */
  async handler(
    authRequest: AuthRequest,
    path: string,
  ): Promise<(raw: IncomingMessage, response: ServerResponse) => Promise<void>> {
    const { callback } = await this.current();
    const secret = readBrowserSecret(authRequest, this.settings);
    const jwt = await presentedJwt(path, authRequest, this.keys, this.issuer);
    const hasValidCertificate = await this.hasValidCertificate(authRequest);
    return (raw, response) => {
      const request = providerRequest(raw, authRequest, this.settings, path, { jwt, hasValidCertificate });
      return withRequestState(secret, () => callback(request, response));
    };
  }

  /** Checked on every request: the certificate may be revoked while its connection is open. */
  private async hasValidCertificate({ socket }: AuthRequest): Promise<boolean> {
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    return certificate !== undefined && this.certificates.isValid(certificate);
  }

  /** Adds the first key of this algorithm, before a client is registered for it. */
  async ensureSigningKey(alg: SigningAlgorithm): Promise<void> {
    await this.keys.ensureKey(alg);
    this.checkedAt = 0;
  }

  /** A provider cannot change its keys. So a new one is created after a process has rotated them. */
  private async current(): Promise<ProviderInstance> {
    if (this.instance && Date.now() - this.checkedAt < KEY_CHECK_INTERVAL_MS) return this.instance;
    this.checkedAt = Date.now();
    this.instance = this.refresh(this.instance);
    this.instance.catch(() => (this.instance = undefined));
    return this.instance;
  }

  private async refresh(previous: Promise<ProviderInstance> | undefined): Promise<ProviderInstance> {
    const keys = await this.keys.published();
    const kids = keys.map(({ kid }) => kid).join(' ');
    const instance = await previous?.catch(() => undefined);
    if (instance?.kids === kids) return instance;
    const jwks = {
      keys: keys.map(({ kid, alg, key }): JWK => ({
        ...(key.export({ format: 'jwk' }) as JWK),
        kid,
        alg,
        use: 'sig',
      })),
    };
    const provider = await this.factory.create(this.issuer, jwks);
    return { kids, provider, callback: provider.callback() };
  }
}
