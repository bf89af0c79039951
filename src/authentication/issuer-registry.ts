import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { AUTH_METHODS } from './authenticator.js';
import type { AuthMethod, Issuer } from './method.js';
import type { MethodName } from './principal.js';

/** The issuers of the installed methods, by name. */
@Injectable()
export class IssuerRegistry {
  /** The methods that have an issuer, in the order of installation. */
  readonly names: readonly MethodName[];

  constructor(
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    private readonly modules: ModuleRef,
  ) {
    this.names = methods.filter((method) => method.issuer).map((method) => method.name);
  }

  /** @returns undefined for a method that is not installed or has no issuer */
  find(name: string): Issuer | undefined {
    const issuer = this.methods.find((method) => method.name === name)?.issuer;
    return issuer && this.modules.get(issuer, { strict: false });
  }
}
