import { SetMetadata } from '@nestjs/common';
import type { AuthMethod } from './method.js';

export type SecuritySchemeMap = Readonly<Record<string, NonNullable<AuthMethod['openapi']>>>;

export const SECURITY_SCHEMES = 'describe:security-schemes';

/**
 * Adds the security schemes of a controller's protocol to the OpenAPI document. They replace those of methods with the
 * same name.
 * @param schemesAt receives the application's origin
 */
export const SecuritySchemes = (schemesAt: (publicUrl: string) => SecuritySchemeMap) =>
  SetMetadata(SECURITY_SCHEMES, schemesAt);
