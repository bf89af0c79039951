import { Injectable, NotFoundException } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors, type Client, type Grant, type Interaction, type InteractionResults } from 'oidc-provider';
import {
  rawRequest,
  rawResponse,
  type AdapterRequest,
  type AdapterResponse,
  type AuthRequest,
} from '../authentication/request.js';
import { Settings } from '../config/settings.js';
import { Engine } from './engine.js';
import { forEngine } from './exchange.js';

/** What the engine waits for a person to do: it has begun in one browser, and belongs to it. */
export interface Pending {
  readonly interaction: Interaction;
  readonly client: Client;
  /** What was allowed before. */
  readonly grant: Grant | undefined;
  /** Goes on with the flow. @returns where to send the browser */
  readonly finish: (
    result: InteractionResults,
    also?: { mergeWithLastSubmission: boolean },
  ) => Promise<string>;
  /** A grant to write a decision into. */
  readonly grantTo: (accountId: string) => Grant;
}

@Injectable()
export class Interactions {
  constructor(
    private readonly engine: Engine,
    private readonly settings: Settings,
  ) {}

  /** @throws NotFoundException for one that is over, unknown, or begun in another browser: they look the same */
  async find(
    uid: string,
    request: AdapterRequest,
    response: AdapterResponse,
    incoming: AuthRequest,
  ): Promise<Pending> {
    const provider = await this.engine.provider();
    const seen = forEngine(rawRequest(request), incoming, this.settings, incoming.target, Buffer.alloc(0));
    const exchange: [IncomingMessage, ServerResponse] = [seen, rawResponse(response)];
    const interaction = await provider.interactionDetails(...exchange).catch((error: unknown) => {
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
      finish: (result, also) => provider.interactionResult(...exchange, result, also),
      grantTo: (accountId) => new provider.Grant({ accountId, clientId: client.clientId }),
    };
  }
}

const notFound = () =>
  new NotFoundException({
    code: 'interaction_not_found',
    detail: 'This sign-in is over, or it began in another browser.',
  });
