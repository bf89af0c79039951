import {
  BadRequestException,
  ConflictException,
  Inject,
  Injectable,
  NotFoundException,
} from '@nestjs/common';
import type { PublicKeyCredentialCreationOptionsJSON } from '@simplewebauthn/server';
import { randomBytes, randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditPort, NoticePort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { AccountFactors } from '../../users/account-factors.service.js';
import { User } from '../../users/user.entity.js';
import { BRAND } from '../../pages/brand.js';
import { authenticatorName } from './passkey.authenticators.js';
import { assertOneCborItem } from './passkey.cbor.js';
import { CHALLENGE_LIFETIME_SECONDS, PasskeyChallenges } from './passkey.challenges.service.js';
import { passkeyConfig, type PasskeyConfig } from './passkey.config.js';
import { Passkey, PasskeyUserHandle } from './passkey.entity.js';
import {
  ALGORITHMS,
  InvalidPasskeyResponse,
  bytesOf,
  loadLibrary,
  verifyRegistration,
  type Registration,
} from './passkey.js';
import type { RegistrationResponse } from './passkey.schemas.js';

const MAX_PASSKEYS_PER_USER = 20;

type AcceptedRegistration = Registration & { readonly algorithm: number };

/** Registers, lists, renames and removes the passkeys of accounts. Each change of their number ends all other sign-ins. */
@Injectable()
export class PasskeyRegistrations {
  constructor(
    private readonly dataSource: DataSource,
    private readonly challenges: PasskeyChallenges,
    private readonly factors: AccountFactors,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
    @Inject(passkeyConfig.KEY) private readonly config: PasskeyConfig,
  ) {}

  /** The options of a creation request: a discoverable passkey with user verification, so that it signs in alone. */
  async begin({ id }: Principal, request: AuthRequest): Promise<PublicKeyCredentialCreationOptionsJSON> {
    const { manager } = this.dataSource;
    const { username, name } = await manager.findOneByOrFail(User, { id });
    const existing = await manager.findBy(Passkey, { userId: id });
    const challenge = this.challenges.create({ purpose: 'registration', accountId: id }, request);
    const { generateRegistrationOptions } = await loadLibrary();
    return generateRegistrationOptions({
      rpID: this.config.rpId,
      rpName: BRAND.name,
      userID: bytesOf(await userHandleOf(manager, id)),
      userName: username,
      userDisplayName: name ?? username,
      challenge: bytesOf(challenge),
      timeout: CHALLENGE_LIFETIME_SECONDS * 1000,
      supportedAlgorithmIDs: ALGORITHMS,
      attestationType: this.config.trusted ? 'direct' : 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: existing.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
    });
  }

  /**
   * @param name absent: the name of the authenticator
   * @returns the passkey, and the account's new epoch
   * @throws BadRequestException `invalid_registration`
   * @throws ConflictException `passkey_already_registered`, `too_many_credentials`
   */
  async register(
    caller: Principal,
    name: string | undefined,
    response: RegistrationResponse,
    request: AuthRequest,
  ): Promise<{ passkey: Passkey; epoch: number }> {
    const registration = await this.verify(caller, response, request);
    const passkey = newPasskey(caller.id, name, registration);
    const epoch = await this.dataSource.transaction(async (manager) => {
      await this.factors.lock(manager, caller.id);
      if ((await manager.countBy(Passkey, { userId: caller.id })) >= MAX_PASSKEYS_PER_USER)
        throw new ConflictException({
          code: 'too_many_credentials',
          detail: `An account has at most ${MAX_PASSKEYS_PER_USER} passkeys. Remove one first.`,
        });
      await insertOnce(manager, passkey);
      const next = await this.factors.changed(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: `passkey:${passkey.id}`,
        details: { aaguid: passkey.aaguid },
      });
      return next;
    });
    this.notices.send(caller.id, 'factor_added');
    return { passkey, epoch };
  }

  /** The caller's passkeys, oldest first. */
  list({ id }: Principal): Promise<Passkey[]> {
    return this.dataSource.manager.find(Passkey, {
      where: { userId: id },
      order: { createdAt: 'ASC', id: 'ASC' },
    });
  }

  /** @throws NotFoundException */
  async rename(caller: Principal, id: string, name: string): Promise<Passkey> {
    const { affected } = await this.dataSource.manager.update(Passkey, { id, userId: caller.id }, { name });
    if (!affected) throw noSuchPasskey();
    return this.dataSource.manager.findOneByOrFail(Passkey, { id });
  }

  /**
   * @returns the account's new epoch
   * @throws NotFoundException
   * @throws ConflictException `last_sign_in_method`
   */
  async remove(caller: Principal, id: string): Promise<number> {
    const epoch = await this.dataSource.transaction(async (manager) => {
      await this.factors.lock(manager, caller.id);
      const { affected } = await manager.delete(Passkey, { id, userId: caller.id });
      if (!affected) throw noSuchPasskey();
      await this.factors.assertCanSignIn(manager, caller.id);
      const next = await this.factors.changed(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `passkey:${id}`,
      });
      return next;
    });
    this.notices.send(caller.id, 'factor_removed');
    return epoch;
  }

  private async verify(
    caller: Principal,
    response: RegistrationResponse,
    request: AuthRequest,
  ): Promise<AcceptedRegistration> {
    try {
      const pending = this.challenges.read('registration', request);
      if (pending.accountId !== caller.id)
        throw new InvalidPasskeyResponse('the challenge is for another account');
      assertOneCborItem(Buffer.from(response.response.attestationObject, 'base64url'));
      const registration = await verifyRegistration(this.config, pending.challenge, response);
      // These files import the library, too.
      const { assertTrustedAuthenticator } = await import('./passkey.attestation.js');
      const { algorithmOf } = await import('./passkey.keys.js');
      if (this.config.trusted) assertTrustedAuthenticator(registration, this.config.trusted);
      const algorithm = algorithmOf(registration.credential.publicKey);
      await this.challenges.use(pending, request);
      return { ...registration, algorithm };
    } catch (error) {
      if (!(error instanceof InvalidPasskeyResponse)) throw error;
      const code = 'invalid_registration';
      const rejection = new BadRequestException({
        code,
        detail:
          'The passkey was not accepted: its challenge ended, or its response or authenticator is invalid. Start again.',
      });
      await this.audit.recordRejection(rejection, {
        event: 'input_validation_fail',
        actor: caller,
        method: 'passkey',
        details: { code, reason: error.message },
      });
      throw rejection;
    }
  }
}

/** The account's user handle, created at its first registration. */
async function userHandleOf(manager: EntityManager, userId: string): Promise<string> {
  await manager
    .createQueryBuilder()
    .insert()
    .into(PasskeyUserHandle)
    .values({ userId, handle: randomBytes(64).toString('base64url') })
    .orIgnore()
    .execute();
  return (await manager.findOneByOrFail(PasskeyUserHandle, { userId })).handle;
}

function newPasskey(
  userId: string,
  name: string | undefined,
  { credential, algorithm, aaguid, credentialDeviceType, credentialBackedUp }: AcceptedRegistration,
): Passkey {
  return {
    id: randomUUID(),
    userId,
    credentialId: credential.id,
    publicKey: Buffer.from(credential.publicKey).toString('base64url'),
    algorithm,
    counter: credential.counter,
    transports: credential.transports ?? [],
    backupEligible: credentialDeviceType === 'multiDevice',
    backedUp: credentialBackedUp,
    aaguid,
    name: name ?? authenticatorName(aaguid),
    createdAt: new Date(),
    lastUsedAt: null,
  };
}

/** @throws ConflictException `passkey_already_registered` for the credential id of another passkey (section 7.1 step 26) */
async function insertOnce(manager: EntityManager, passkey: Passkey): Promise<void> {
  const { credentialId, id } = passkey;
  await manager.createQueryBuilder().insert().into(Passkey).values(passkey).orIgnore().execute();
  if (await manager.existsBy(Passkey, { credentialId, id })) return;
  throw new ConflictException({
    code: 'passkey_already_registered',
    detail: 'This passkey is already registered.',
  });
}

const noSuchPasskey = () => new NotFoundException({ code: 'not_found', detail: 'You have no such passkey.' });
