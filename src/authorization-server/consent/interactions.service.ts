import { ForbiddenException, Injectable, NotFoundException } from '@nestjs/common';
import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Client, Grant, Interaction, InteractionResults } from 'oidc-provider';
import {
  rawRequest,
  rawResponse,
  type AdapterRequest,
  type AdapterResponse,
  type AuthRequest,
} from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';
import { INTERACTION_ENDED } from '../pages/provider-pages.js';
import { errors } from '../provider/oidc-provider.js';
import { OidcProviderService } from '../provider/oidc-provider.service.js';
import { providerRequest } from '../provider/provider-request.js';

/** An interaction that waits for a person, bound to one browser by a cookie. */
export interface PendingInteraction {
  readonly interaction: Interaction;
  readonly client: Client;
  /** The consent that this person has given to the client before. */
  readonly grant: Grant | undefined;
  /** Stores the result. @returns the URL to redirect the browser to */
  readonly finish: (
    result: InteractionResults,
    options?: { mergeWithLastSubmission: boolean },
  ) => Promise<string>;
  readonly createGrant: (accountId: string) => Grant;
}

@Injectable()
export class InteractionsService {
  constructor(
    private readonly oidc: OidcProviderService,
    private readonly settings: Settings,
  ) {}

  /** @throws NotFoundException `interaction_not_found`, the same if it is finished, unknown, or of another browser */
  async find(
    uid: string,
    request: AdapterRequest,
    response: AdapterResponse,
    authRequest: AuthRequest,
  ): Promise<PendingInteraction> {
    const provider = await this.oidc.provider();
    const raw: [IncomingMessage, ServerResponse] = [
      providerRequest(rawRequest(request), authRequest, this.settings, authRequest.target),
      rawResponse(response),
    ];
    const interaction = await provider.interactionDetails(...raw).catch((error: unknown) => {
      if (error instanceof errors.SessionNotFound) throw notFound();
      throw error;
    });
    if (interaction.uid !== uid) throw notFound();
    const client = await provider.Client.find(String(interaction.params['client_id']));
    if (!client) throw notFound();
    return {
      interaction,
      client,
      grant: interaction.grantId ? await provider.Grant.find(interaction.grantId) : undefined,
      finish: (result, options) => provider.interactionResult(...raw, result, options),
      createGrant: (accountId) => new provider.Grant({ accountId, clientId: client.clientId }),
    };
  }
}

const notFound = () =>
  new NotFoundException({
    code: 'interaction_not_found',
    detail: INTERACTION_ENDED,
  });

type TokenBinding = Pick<Interaction, 'uid' | 'prompt' | 'session'>;

/** Protects the forms of the interaction pages against cross-site request forgery (OWASP CSRF Prevention Cheat Sheet). */
@Injectable()
export class CsrfToken {
  private readonly keys: DerivedKeys;

  constructor(private readonly settings: Settings) {
    this.keys = new DerivedKeys(settings, 'oauth forms');
  }

  /** Creates a token that is valid for one interaction, its current prompt, and the session in which it began. */
  create(interaction: TokenBinding): string {
    return this.sign(interaction, this.keys.current.id);
  }

  /** @throws ForbiddenException `invalid_form_token` */
  verify(request: AuthRequest, interaction: TokenBinding, token: unknown): void {
    const [site, origin] = [request.header('Sec-Fetch-Site'), request.header('Origin')];
    if ((site ?? 'same-origin') !== 'same-origin') throw invalidToken('Cross-site forms are rejected.');
    if (origin !== undefined && !this.settings.isOwnOrigin(origin))
      throw invalidToken('Cross-site forms are rejected.');
    const presented = typeof token === 'string' ? token : '';
    const keyId = presented.split('.')[0]!;
    const expected = this.keys.find(keyId) && this.sign(interaction, keyId);
    if (!expected || !constantTimeEqual(presented, expected))
      throw invalidToken('The form has expired or belongs to another page. Open the page again.');
  }

  private sign({ uid, prompt, session }: TokenBinding, keyId: string): string {
    const hmac = createHmac('sha256', this.keys.find(keyId)!);
    return `${keyId}.${hmac.update(JSON.stringify([uid, prompt.name, session?.uid])).digest('base64url')}`;
  }
}

const invalidToken = (detail: string) => new ForbiddenException({ code: 'invalid_form_token', detail });
