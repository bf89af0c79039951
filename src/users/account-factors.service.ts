import { ConflictException, Inject, Injectable, UnprocessableEntityException } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { DataSource, type EntityManager } from 'typeorm';
import { AUTH_METHODS } from '../authentication/authenticator.js';
import { FACTORS, type FactorProperties } from '../authentication/factors.js';
import { BadCredential } from '../authentication/challenge.js';
import type { AuthMethod, Factor, FactorResponse } from '../authentication/method.js';
import type { MethodName, Proof } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { endAllSignIns } from './end-sign-ins.js';
import { FactorAttempts } from './factor-attempts.service.js';
import { User, lockAccount } from './user.entity.js';

/** An installed factor with its row of the table {@link FACTORS}. */
export interface InstalledFactor {
  readonly name: MethodName;
  readonly properties: FactorProperties;
  readonly factor: Factor;
}

/** The factors of accounts, of all installed methods. */
@Injectable()
export class AccountFactors {
  private factors: readonly InstalledFactor[] | undefined;

  constructor(
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    private readonly modules: ModuleRef,
    private readonly dataSource: DataSource,
    private readonly attempts: FactorAttempts,
  ) {}

  /** The installed factors, in the order of installation. */
  get installed(): readonly InstalledFactor[] {
    this.factors ??= this.methods.flatMap(({ name, factor }) => {
      if (!factor) return [];
      const properties = (FACTORS as Readonly<Record<string, FactorProperties>>)[name];
      if (!properties) throw new Error(`The factor ${name} is not in the table of factors.`);
      return [{ name, properties, factor: this.modules.get(factor, { strict: false }) }];
    });
    return this.factors;
  }

  /** @returns undefined for a text that is no installed factor, so that no text of the caller reaches a log */
  nameOf = (text: string): MethodName | undefined => this.installed.find(({ name }) => name === text)?.name;

  /** The factors that an account has set up. */
  async enrolled(accountId: string, manager = this.dataSource.manager): Promise<InstalledFactor[]> {
    const enrolled: InstalledFactor[] = [];
    for (const each of this.installed)
      if (await each.factor.isEnrolled(manager, accountId)) enrolled.push(each);
    return enrolled;
  }

  /**
   * The factors with which the account completes a sign-in or steps up, the preferred one first: second factors, if it has any.
   */
  async usable(user: User): Promise<InstalledFactor[]> {
    return this.usableOf(user, await this.enrolled(user.id));
  }

  /** Those of {@link usable} among the enrolled factors. */
  usableOf({ mfaSince }: User, enrolled: readonly InstalledFactor[]): InstalledFactor[] {
    return enrolled
      .filter(({ factor, properties }) => factor.responseField && (!mfaSince || properties.second))
      .sort((a, b) => rankOf(a) - rankOf(b));
  }

  /**
   * @throws UnprocessableEntityException `invalid_body` if the account cannot use the factor now
   */
  async find(user: User, name: string): Promise<InstalledFactor> {
    const usable = await this.usable(user);
    const found = usable.find((each) => each.name === name);
    if (found) return found;
    const names = usable.map((each) => each.name).join(', ');
    throw invalidField('factor', names ? `Must be one of: ${names}.` : 'This account has no such factor.');
  }

  /**
   * Verifies a proof of a factor, and counts wrong ones.
   * @throws BadCredential
   * @throws UnprocessableEntityException `invalid_body`
   * @throws TooManyAttempts
   */
  async verify(
    user: User,
    { factor }: InstalledFactor,
    response: FactorResponse,
    request: AuthRequest,
  ): Promise<Pick<Proof, 'amr' | 'credentialId'>> {
    const field = factor.responseField!;
    if (response[field] === undefined) throw invalidField(field, 'Required for this factor.');
    try {
      return await this.attempts.count(user.id, () => factor.verify!(user.id, response, request));
    } catch (error) {
      throw error instanceof BadCredential ? error.ofAccount(user) : error;
    }
  }

  /**
   * Lets changes of the account's factors wait for each other, because each depends on the others: of two removals at the same
   * time, one would be the last. Call it first in the transaction.
   */
  lock(manager: EntityManager, accountId: string): Promise<void> {
    return lockAccount(manager, accountId);
  }

  /**
   * Rejects the removal of the last way to sign in. Call it in the transaction, after the removal.
   * @throws ConflictException `last_sign_in_method`
   */
  async assertCanSignIn(manager: EntityManager, accountId: string): Promise<void> {
    const enrolled = await this.enrolled(accountId, manager);
    if (enrolled.some(({ properties }) => properties.first)) return;
    throw new ConflictException({
      code: 'last_sign_in_method',
      detail: 'This is the last way to sign in to the account. Add another one first.',
    });
  }

  /**
   * Stores whether sign-ins of the account need a second factor. Every change of a second factor calls it in its transaction.
   * All other sign-ins end: they may have begun before the change.
   * @returns the account's new epoch, to issue the caller's credential again
   */
  async changed(manager: EntityManager, accountId: string): Promise<number> {
    const { mfaSince } = await manager.findOneByOrFail(User, { id: accountId });
    const isRequired = (await this.enrolled(accountId, manager)).some(isSecondFactor);
    await manager.update(User, { id: accountId }, { mfaSince: isRequired ? (mfaSince ?? new Date()) : null });
    if (!isRequired)
      for (const { factor } of this.installed) if (factor.isBackup) await factor.remove?.(manager, accountId);
    return endAllSignIns(manager, accountId);
  }

  /** Removes all second factors of an account whose holder has lost them, and ends its sign-ins. */
  async removeSecondFactors(manager: EntityManager, accountId: string): Promise<void> {
    for (const { name, properties, factor } of this.installed) {
      if (!properties.second) continue;
      if (!factor.remove) throw new Error(`The factor ${name} cannot be removed.`);
      await factor.remove(manager, accountId);
    }
    await this.changed(manager, accountId);
  }
}

/** Phishing-resistant factors come first, and backups last. */
const rankOf = ({ properties, factor }: InstalledFactor): number =>
  properties.phishingResistant ? 0 : factor.isBackup ? 2 : 1;

/** Recovery codes replace a second factor, and are none of their own: the account needs one that it can use again. */
const isSecondFactor = ({ properties, factor }: InstalledFactor): boolean =>
  properties.second && !factor.isBackup;

export const invalidField = (field: string, message: string) =>
  new UnprocessableEntityException({
    code: 'invalid_body',
    detail: 'The body is invalid.',
    errors: [{ field, message }],
  });
