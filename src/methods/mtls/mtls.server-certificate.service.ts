import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Settings } from '../../config/settings.js';
import { isStrongPublicKey } from '../../crypto/public-keys.js';
import { CertificateAuthorityService } from './mtls.certificate-authority.service.js';
import { mtlsConfig, type MtlsConfig } from './mtls.config.js';
import { newKeyPair, privateKeyPem } from './mtls.x509.js';

const SERVER_CERTIFICATE_LIFETIME_MS = 7 * 24 * 60 * 60_000;

/** A certificate and its private key, both in PEM. */
interface CertificateAndKey {
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificate of the TLS listener. It comes from `TLS_CERT_FILE` and `TLS_KEY_FILE`; without these settings the
 * private CA issues one, and renews it after half its lifetime.
 */
@Injectable()
export class ServerCertificateService {
  private readonly logger = new Logger(ServerCertificateService.name);
  private readonly files: MtlsConfig['files'];
  private readonly names: readonly string[];
  /** Set by the first {@link load}. */
  current!: CertificateAndKey;
  private parsed: X509Certificate | undefined;

  constructor(
    private readonly authority: CertificateAuthorityService,
    settings: Settings,
    @Inject(mtlsConfig.KEY) { files }: ConfigType<typeof mtlsConfig>,
  ) {
    this.files = files;
    const host = new URL(settings.publicUrl).hostname.replace(/^\[|\]$/g, '');
    this.names = [...new Set(['localhost', '127.0.0.1', '::1', host])];
  }

  /** Whether the certificate is valid for this host name or IP address. */
  covers(host: string): boolean {
    const match = isIP(host) ? this.parsed?.checkIP(host) : this.parsed?.checkHost(host);
    return match !== undefined;
  }

  /**
   * Renews the certificate if it is due, or reads the files again. An invalid pair of files is logged, and the previous
   * certificate stays.
   * @throws Error if the files are invalid and there is no previous certificate
   */
  async load(now: number): Promise<void> {
    if (!this.files) return this.renew(now);
    try {
      const [cert, key] = await Promise.all([
        readFile(this.files.cert, 'utf8'),
        readFile(this.files.key, 'utf8'),
      ]);
      if (cert !== this.current?.cert || key !== this.current.key) this.replace({ cert, key });
    } catch (error) {
      const reason = `TLS_CERT_FILE and TLS_KEY_FILE do not hold a certificate and its private key: ${(error as Error).message}`;
      if (!this.parsed) throw new Error(reason, { cause: error });
      this.logger.error(reason);
    }
  }

  private async renew(now: number): Promise<void> {
    const remaining = this.parsed ? Date.parse(this.parsed.validTo) - now : 0;
    if (remaining > SERVER_CERTIFICATE_LIFETIME_MS / 2) return;
    const { publicKey, privateKey } = newKeyPair();
    const notAfter = new Date(now + SERVER_CERTIFICATE_LIFETIME_MS);
    const cert = await this.authority.issueServerCertificate(this.names, publicKey, new Date(now), notAfter);
    this.replace({ cert, key: privateKeyPem(privateKey) });
  }

  /** @throws Error if the key does not belong to the certificate, or is too weak */
  private replace(next: CertificateAndKey): void {
    createSecureContext(next);
    const parsed = new X509Certificate(next.cert);
    if (!isStrongPublicKey(parsed.publicKey)) throw new Error('the key of the certificate is too weak');
    this.parsed = parsed;
    this.current = next;
  }
}
