import type { INestApplication } from '@nestjs/common';
import { randomBytes, randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { SoftwareAuthenticator } from '../../src/methods/passkey/passkey.client.js';
import { passkeyConfig, type PasskeyConfig } from '../../src/methods/passkey/passkey.config.js';
import { Passkey, PasskeyUserHandle } from '../../src/methods/passkey/passkey.entity.js';
import { verifyRegistration } from '../../src/methods/passkey/passkey.js';

interface App {
  readonly app: INestApplication;
  readonly origin: string;
  readonly db: DataSource;
}

export const configOf = ({ app }: Pick<App, 'app'>): PasskeyConfig =>
  app.get(passkeyConfig.KEY, { strict: false });

/** An authenticator that signs for pages of the application. */
export const authenticatorFor = (app: Pick<App, 'app'>) =>
  new SoftwareAuthenticator(configOf(app).origins[0]!);

/** A browser without pages: it keeps cookies, and sends JSON. */
export class JsonBrowser {
  private readonly cookies = new Map<string, string>();

  constructor(
    private readonly origin: string,
    readonly headers: Record<string, string> = {},
  ) {}

  async post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(this.origin + path, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...this.headers,
        ...(cookie && { Cookie: cookie }),
        ...headers,
      },
      body: JSON.stringify(body),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (/max-age=0/i.test(line)) this.cookies.delete(name!);
      else this.cookies.set(name!, value!);
    }
    return response;
  }

  /** The value of a cookie, as an attacker who copied it has it. */
  cookie = (name: string): string | undefined => this.cookies.get(name);
  setCookie = (name: string, value: string) => this.cookies.set(name, value);
}

/** Stores a passkey of an account without a registration, so that no sign-in ends and none needs a second factor. */
export async function addPasskey(
  app: App,
  userId: string,
  authenticator: SoftwareAuthenticator,
): Promise<Passkey> {
  const config = configOf(app);
  const { manager } = app.db;
  const handle =
    (await manager.findOneBy(PasskeyUserHandle, { userId }))?.handle ?? randomBytes(64).toString('base64url');
  await manager.save(PasskeyUserHandle, { userId, handle });
  const challenge = randomBytes(32).toString('base64url');
  const created = authenticator.create({ challenge, rp: { id: config.rpId }, user: { id: handle } });
  const { credential, aaguid } = await verifyRegistration(config, challenge, created);
  const passkey: Passkey = {
    id: randomUUID(),
    userId,
    credentialId: credential.id,
    publicKey: Buffer.from(credential.publicKey).toString('base64url'),
    algorithm: -7,
    counter: credential.counter,
    transports: [],
    backupEligible: false,
    backedUp: false,
    aaguid,
    name: 'test',
    createdAt: new Date(),
    lastUsedAt: null,
  };
  await manager.insert(Passkey, passkey);
  return passkey;
}
