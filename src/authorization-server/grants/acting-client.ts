import { errors, type Client } from 'oidc-provider';
import type { DataSource } from 'typeorm';
import { OauthClient } from '../client.entity.js';

/**
 * Whoever gets tokens for others without asking them must prove who it is; and the account that it is itself, where it has one, must
 * be one that may be used.
 *
 * @throws UnauthorizedClient
 */
export async function refuseUnfit(
  { clientId: id, clientAuthMethod }: Client,
  dataSource: DataSource,
): Promise<void> {
  if (clientAuthMethod === 'none')
    throw new errors.UnauthorizedClient('only a client that proves who it is may use this grant');
  const client = await dataSource.manager.findOne(OauthClient, {
    where: { id },
    relations: { account: true },
  });
  if (client?.account?.disabledAt)
    throw new errors.UnauthorizedClient('the account of this client is disabled');
}
