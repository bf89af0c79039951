import { Injectable, NotFoundException } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors, type Client, type Grant, type Interaction, type InteractionResults } from 'oidc-provider';
import {
  rawRequest,
  rawResponse,
  type AdapterRequest,
  type AdapterResponse,
  type AuthRequest,
} from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { INTERACTION_ENDED } from '../pages/layout.js';
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
