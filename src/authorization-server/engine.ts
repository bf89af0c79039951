import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Provider, type JWK } from 'oidc-provider';
import { ClientCertificateEndpoint } from '../authentication/client-certificate.js';
import type { AuthRequest } from '../authentication/request.js';
import { Settings } from '../config/settings.js';
import { SigningKeys } from '../crypto/signing-keys.service.js';
import { verifiedJwt } from './access-token-records.js';
import { Accounts } from './accounts.js';
import type { ClientModel } from './client-model.js';
import { configuration } from './configuration.js';
import { correct } from './corrections.js';
import { forEngine } from './exchange.js';
import { Grants } from './grants/grants.js';
import { continueWithoutScript } from './pages/continue.js';
import { SignOuts } from './sign-outs.js';
import { serverConfig } from './server.config.js';
import { Storage } from './storage.js';
import { asksAbout } from './structured.js';
import { Watch } from './watch.js';

const A_SECOND = 1_000;

interface Running {
  readonly kids: string;
  readonly provider: Provider;
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** The authorization server itself: `oidc-provider`, with the keys as they are now. It keeps nothing in memory. */
@Injectable()
export class Engine implements OnModuleInit {
  private readonly logger = new Logger(Engine.name);
  private running: Promise<Running> | undefined;
  private lookedAt = 0;

  constructor(
    private readonly settings: Settings,
    private readonly keys: SigningKeys,
    private readonly accounts: Accounts,
    private readonly storage: Storage,
    private readonly grants: Grants,
    private readonly watch: Watch,
    private readonly signOuts: SignOuts,
    private readonly clientCertificateEndpoint: ClientCertificateEndpoint,
  ) {}

  /** The engine is made when it is first asked; what is wrong with its settings is said before. */
  onModuleInit(): void {
    serverConfig(this.settings);
  }

  get issuer(): string {
    return `${this.settings.publicUrl}/oidc`;
  }

  async provider(): Promise<Provider> {
    return (await this.current()).provider;
  }

  async clientModel(): Promise<ClientModel> {
    return (await this.provider()).Client as unknown as ClientModel;
  }

  /**
   * What answers a request by itself.
   * @param path below `/oidc`, with the query
   */
  async answerTo(
    request: AuthRequest,
    path: string,
  ): Promise<(raw: IncomingMessage, response: ServerResponse) => Promise<void>> {
    const { answer } = await this.current();
    const body = request.rawBody ?? Buffer.alloc(0);
    const asked = await asksAbout(path, body, this.keys, this.issuer);
    return (raw, response) => {
      const seen = forEngine(raw, request, this.settings, path, asked ? asked.body : body);
      return asked ? verifiedJwt.run(asked.jti, () => answer(seen, response)) : answer(seen, response);
    };
  }

  /** The engine takes its keys when it is made; so where they have changed, by whichever process, another is made. */
  private async current(): Promise<Running> {
    if (this.running && Date.now() - this.lookedAt < A_SECOND) return this.running;
    this.lookedAt = Date.now();
    const before = this.running;
    this.running = this.make(before);
    this.running.catch(() => (this.running = undefined));
    return this.running;
  }

  private async make(before: Promise<Running> | undefined): Promise<Running> {
    const keys = await this.keys.published();
    const kids = keys.map(({ kid }) => kid).join(' ');
    const running = await before?.catch(() => undefined);
    if (running?.kids === kids) return running;
    const jwks = {
      keys: keys.map(({ kid, key }): JWK => ({
        ...(key.export({ format: 'jwk' }) as JWK),
        kid,
        alg: 'ES256',
        use: 'sig',
      })),
    };
    const tlsUrl = this.clientCertificateEndpoint.url;
    const provider = new Provider(
      this.issuer,
      configuration(this.settings, this.accounts, this.storage, jwks, tlsUrl, this.grants),
    );
    this.grants.addTo(provider);
    provider.proxy = true;
    provider.use(continueWithoutScript as never);
    this.signOuts.over(provider);
    provider.on('backchannel.error', (_ctx, error, { clientId }) =>
      this.logger.warn({ event: 'client not told of a sign-out', clientId, error: error.message }),
    );
    provider.on('server_error', (_ctx, error) => this.logger.error(error));
    // Without a listener of its own, the framework below the engine writes to the console.
    provider.on('error' as 'server_error', (error: unknown) => this.logger.error(error));
    correct(provider);
    this.watch.over(provider);
    return { kids, provider, answer: provider.callback() };
  }
}
