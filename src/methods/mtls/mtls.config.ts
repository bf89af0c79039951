import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { Settings } from '../../config/settings.js';

const schema = z
  .object({
    TLS_PORT: z
      .string()
      .regex(/^\d{1,5}$/, 'must be a port number')
      .transform(Number)
      .refine((port) => port <= 65_535, 'must be a port number')
      .default(3443),
    TLS_CERT_FILE: z.string().optional(),
    TLS_KEY_FILE: z.string().optional(),
  })
  .refine(({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key }) => Boolean(cert) === Boolean(key), {
    path: ['TLS_KEY_FILE'],
    error: 'must be set together with TLS_CERT_FILE, or neither',
  });

export interface MtlsConfig {
  /** The port of the TLS listener; 0 selects a free one. */
  readonly port: number;
  /** Paths of the server's certificate (PEM, with its chain) and private key (PEM). Absent: the private CA issues one. */
  readonly files: { readonly cert: string; readonly key: string } | undefined;
}

/** @throws InvalidSettings */
export function readMtlsConfig(settings: Settings): MtlsConfig {
  const { TLS_PORT: port, TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = settings.section(schema);
  return { port, files: cert && key ? { cert, key } : undefined };
}

export const mtlsConfig = registerAs('mtls', () => readMtlsConfig(Settings.from(process.env)));
