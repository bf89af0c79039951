import { ConflictException, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { User } from '../users/user.entity.js';
import {
  askedOf,
  beyondScopesOf,
  decide,
  fieldOf,
  heldBy,
  isOptional,
  type AskedScope,
} from './asked-scopes.js';
import type { Pending } from './interactions.js';
import { consentPage } from './pages/consent.js';
import { formsTo } from './pages/forms-to.js';
import type { Page } from './pages/layout.js';
import { nameOf } from './pages/show.js';
import { claimInWords, detailInWords, inWords } from './scopes.js';
import { AuditPort } from '../authentication/ports.js';

/** What people let applications do. */
@Injectable()
export class Decisions {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  async page({ interaction, client, grant }: Pending, token: string): Promise<Page> {
    const asked = askedOf(interaction, grant);
    const isAsked = ({ resource, scope }: AskedScope) =>
      asked.some((each) => each.resource === resource && each.scope === scope);
    const rejected = heldBy(grant?.rejected).map(fieldOf);
    const before = heldBy(grant).filter((each) => !isAsked(each) && !rejected.includes(fieldOf(each)));
    const { claims, rar } = beyondScopesOf(interaction);
    const optional = asked.filter(isOptional);
    return consentPage({
      client: nameOf(client),
      home: client.clientUri,
      who: (await this.accountOf(interaction.session?.accountId)).username,
      token,
      fixed: [
        ...asked.filter((each) => !isOptional(each)).map(({ scope }) => inWords(scope)),
        ...claims.map(claimInWords),
        ...rar.map(detailInWords),
      ],
      asked: [...new Set(optional.map(({ resource }) => resource))].map((resource) => ({
        resource,
        scopes: optional
          .filter((each) => each.resource === resource)
          .map((each) => ({ field: fieldOf(each), says: inWords(each.scope) })),
      })),
      before: before.map(({ scope }) => inWords(scope)),
      formsTo: formsTo(interaction.params['redirect_uri']),
    });
  }

  /** @param ticked the fields that the form came with @returns where to send the browser */
  async allow(pending: Pending, ticked: readonly string[]): Promise<string> {
    const { interaction, grant, client } = pending;
    if (interaction.prompt.name !== 'consent')
      throw new ConflictException({ code: 'not_asked', detail: 'Nothing was asked that could be allowed.' });
    const account = await this.accountOf(interaction.session?.accountId);
    const decided = grant ?? pending.grantTo(account.id);
    decide(decided, interaction, askedOf(interaction, grant), ticked);
    const grantId = await decided.save();
    await this.audit.record({
      event: 'authz_change',
      actor: account,
      target: `oauth-client:${client.clientId}`,
      details: { allowed: heldBy(decided).map(fieldOf), denied: heldBy(decided.rejected).map(fieldOf) },
    });
    return pending.finish({ consent: { grantId } }, { mergeWithLastSubmission: true });
  }

  private accountOf(id = ''): Promise<User> {
    return this.dataSource.manager.findOneByOrFail(User, { id });
  }
}
