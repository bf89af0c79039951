import { ConflictException, Injectable } from '@nestjs/common';
import type { Client } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { AuditPort } from '../../authentication/ports.js';
import { isDocumentUrl } from '../clients/client-metadata.js';
import { User } from '../../users/user.entity.js';
import { consentPage, describeRedirect, type ConsentView } from '../pages/interaction-pages.js';
import { formActionSources, type Page } from '../../pages/layout.js';
import { clientNameOf } from '../pages/provider-pages.js';
import type { PendingInteraction } from './interactions.service.js';
import {
  applyDecision,
  describeClaim,
  describeDetail,
  describeScope,
  fieldOf,
  grantedScopes,
  isOptional,
  requestedClaimsAndDetails,
  requestedScopes,
} from './requested-scopes.js';

/** The consent prompt of an authorization request: builds its page and stores the decision. */
@Injectable()
export class ConsentPrompt {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  async page({ interaction, client, grant }: PendingInteraction, csrfToken: string): Promise<Page> {
    const requested = requestedScopes(interaction, grant);
    const optional = requested.filter(isOptional);
    const resources = [...new Set(optional.map(({ resource }) => resource))];
    const { claims, rar } = requestedClaimsAndDetails(interaction);
    const excluded = [...requested, ...grantedScopes(grant?.rejected)].map(fieldOf);
    const granted = grantedScopes(grant).filter((each) => !excluded.includes(fieldOf(each)));
    const account = await this.findAccount(interaction.session?.accountId);
    return consentPage({
      client: clientNameOf(client),
      clientUri: client.clientUri,
      origin: originOf(client),
      redirect: describeRedirect(interaction.params['redirect_uri']),
      username: account.username,
      csrfToken,
      required: [
        ...requested.filter((each) => !isOptional(each)).map(({ scope }) => describeScope(scope)),
        ...claims.map(describeClaim),
        ...rar.map(describeDetail),
      ],
      optional: resources.map((resource) => ({
        resource,
        scopes: optional
          .filter((each) => each.resource === resource)
          .map((each) => ({ field: fieldOf(each), description: describeScope(each.scope) })),
      })),
      granted: granted.map(({ scope }) => describeScope(scope)),
      formAction: formActionSources(interaction.params['redirect_uri']),
    });
  }

  /**
   * @param checked the values of the checked checkboxes
   * @returns the URL to redirect the browser to
   * @throws ConflictException `invalid_request` if the interaction has no consent prompt
   */
  async allow(pending: PendingInteraction, checked: readonly string[]): Promise<string> {
    const { interaction, client } = pending;
    if (interaction.prompt.name !== 'consent')
      throw new ConflictException({
        code: 'invalid_request',
        detail: 'The application has not requested your consent. Open the page again.',
      });
    const account = await this.findAccount(interaction.session?.accountId);
    const requested = requestedScopes(interaction, pending.grant);
    const grant = pending.grant ?? pending.createGrant(account.id);
    applyDecision(grant, interaction, requested, checked);
    const grantId = await grant.save();
    await this.audit.record({
      event: 'authz_change',
      actor: account,
      target: `oauth-client:${client.clientId}`,
      details: {
        allowed: grantedScopes(grant).map(fieldOf),
        denied: grantedScopes(grant.rejected).map(fieldOf),
      },
    });
    return pending.finish({ consent: { grantId } }, { mergeWithLastSubmission: true });
  }

  private findAccount(id = ''): Promise<User> {
    return this.dataSource.manager.findOneByOrFail(User, { id });
  }
}

/** oidc-provider sets the time of issue for self-registered clients only. */
function originOf({ clientId, clientIdIssuedAt }: Client): ConsentView['origin'] {
  if (isDocumentUrl(clientId)) return { publishedAt: new URL(clientId).host };
  return clientIdIssuedAt === undefined ? undefined : 'self-registered';
}
