import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Settings } from '../config/settings.js';

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const schema = z.object({ OAUTH_CLIENT_CA_FILE: z.string().optional() });

export interface ServerConfig {
  /** The CAs that issue to clients which come through a proxy and authenticate by `tls_client_auth`. */
  readonly clientCas: readonly X509Certificate[];
}

/** @throws BadSettings, or Error where the file cannot be read */
export function serverConfig(settings: Settings): ServerConfig {
  const { OAUTH_CLIENT_CA_FILE: file } = settings.section(schema);
  const texts = file ? (readFileSync(file, 'utf8').match(PEM) ?? []) : [];
  if (file && !texts.length) throw new Error(`OAUTH_CLIENT_CA_FILE holds no certificate: ${file}`);
  return { clientCas: texts.map((text) => new X509Certificate(text)) };
}
