import type { DataSource } from 'typeorm';
import { AuditEvent } from '../audit/audit-event.entity.js';
import { DEMO_SECRET } from '../config/demo-settings.js';
import { Settings } from '../config/settings.js';
import { DerivedKeys } from '../crypto/derived-keys.js';
import { DemoPart } from '../database/demo-data.service.js';
import { User } from './user.entity.js';

/**
 * Keeps the published secret out of a database that another secret protects, as when the environment is forgotten once,
 * and the other way round. The server and every command line call it before they write.
 *
 * @throws Error with a sentence for the operator
 */
export async function assertSecretOfDatabase({ manager }: DataSource, settings: Settings): Promise<void> {
  const [last] = await manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 });
  const usedPublished = last?.keyId === publishedKeyId();
  const secrets = [settings.appSecret, settings.previousAppSecret];
  if (usedPublished && !secrets.includes(DEMO_SECRET))
    throw new Error('This database was written with the published APP_SECRET. Use a new database.');
  if (settings.appSecret !== DEMO_SECRET) return;
  const usedAnother = last && !usedPublished;
  const isShared = settings.databaseUrl !== undefined;
  const hasOtherAccounts = (await manager.exists(User)) && !(await manager.exists(DemoPart));
  if (usedAnother || (isShared && hasOtherAccounts))
    throw new Error(
      'This database has accounts of its own. Set its APP_SECRET: the published one is for the demo.',
    );
}

const publishedKeyId = () => new DerivedKeys(Settings.from({ APP_SECRET: DEMO_SECRET }), 'audit').current.id;
