import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { InvalidSettings, Settings } from '../../config/settings.js';
import type { RelyingParty } from './passkey.js';

const list = z.string().transform((text) => text.split(',').map((each) => each.trim()));
/** An Android app: `android:apk-key-hash:` and the SHA-256 of its signing certificate in base64url. */
const ANDROID_ORIGIN = /^android:apk-key-hash:[\w-]{43}$/;
const DOMAIN = /^(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/;
const AAGUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

const schema = z.object({
  PASSKEY_RP_ID: z.string().regex(DOMAIN, 'must be a domain, as example.com').optional(),
  PASSKEY_ORIGINS: list
    .refine(
      (origins) => origins.every((origin) => isWebOrigin(origin) || ANDROID_ORIGIN.test(origin)),
      'must list https origins, or Android apps as android:apk-key-hash:…',
    )
    .default([]),
  PASSKEY_ATTESTATION: z.enum(['none', 'required'], 'must be none or required').default('none'),
  PASSKEY_ATTESTATION_ROOTS_FILE: z.string().optional(),
  PASSKEY_AAGUIDS: list
    .refine((ids) => ids.every((id) => AAGUID.test(id)), 'must list AAGUIDs, in lower case with hyphens')
    .optional(),
});

/** The authenticators that may be registered, if the attestation is required. */
export interface TrustedAuthenticators {
  readonly roots: readonly X509Certificate[];
  /** Absent: all authenticators of these roots. */
  readonly aaguids?: readonly string[] | undefined;
}

export interface PasskeyConfig extends RelyingParty {
  /** The origins of web pages, for `/.well-known/webauthn`. */
  readonly webOrigins: readonly string[];
  /** Absent: any authenticator, without attestation. */
  readonly trusted?: TrustedAuthenticators | undefined;
}

/** @throws InvalidSettings */
export function readPasskeyConfig(settings: Settings): PasskeyConfig {
  const section = settings.section(schema);
  const { hostname } = new URL(settings.publicUrl);
  const rpId = section.PASSKEY_RP_ID ?? hostname;
  if (hostname !== rpId && !hostname.endsWith(`.${rpId}`))
    throw new InvalidSettings(['PASSKEY_RP_ID must be the host of PUBLIC_URL or a domain above it.']);
  const origins = [...new Set([settings.publicUrl, ...section.PASSKEY_ORIGINS])];
  return {
    rpId,
    origins,
    webOrigins: origins.filter((origin) => !ANDROID_ORIGIN.test(origin)),
    trusted:
      section.PASSKEY_ATTESTATION === 'required'
        ? { roots: readRoots(section.PASSKEY_ATTESTATION_ROOTS_FILE), aaguids: section.PASSKEY_AAGUIDS }
        : undefined,
  };
}

function readRoots(file: string | undefined): X509Certificate[] {
  const name = 'PASSKEY_ATTESTATION_ROOTS_FILE';
  if (!file) throw new InvalidSettings([`PASSKEY_ATTESTATION=required needs ${name}.`]);
  try {
    const pems = readFileSync(file, 'utf8').match(
      /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
    );
    if (pems) return pems.map((pem) => new X509Certificate(pem));
  } catch {
    // The sentence below covers a missing file, too.
  }
  throw new InvalidSettings([`${name} must name a readable file of PEM certificates.`]);
}

function isWebOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' && url.origin === text;
}

export const passkeyConfig = registerAs('passkey', () => readPasskeyConfig(Settings.from(process.env)));
